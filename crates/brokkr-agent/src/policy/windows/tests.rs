use rstest::rstest;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn window(start: &str, duration: &str, zone: &str) -> MaintenanceWindow {
    MaintenanceWindow::new(
        read_start(start).unwrap(),
        read_duration(duration).unwrap(),
        TimeZone::get(zone).unwrap(),
    )
}

fn open_until(until: &str) -> Window {
    Window::Open {
        until: Some(at(until)),
    }
}

fn closed_until(until: &str) -> Window {
    Window::Closed { until: at(until) }
}

#[test]
fn without_windows_work_may_always_begin() {
    assert_eq!(
        state(&[], at("2026-11-22T10:00:00Z")),
        Window::Open { until: None }
    );
}

#[rstest]
#[case::before("2026-11-22T19:59:59.999999Z", closed_until("2026-11-22T20:00:00Z"))]
#[case::first_moment("2026-11-22T20:00:00Z", open_until("2026-11-23T02:00:00Z"))]
#[case::a_moment_later("2026-11-22T20:00:00.000001Z", open_until("2026-11-23T02:00:00Z"))]
#[case::after_midnight("2026-11-23T01:00:00Z", open_until("2026-11-23T02:00:00Z"))]
#[case::last_moment("2026-11-23T01:59:59.999999Z", open_until("2026-11-23T02:00:00Z"))]
#[case::closing("2026-11-23T02:00:00Z", closed_until("2026-11-23T20:00:00Z"))]
fn a_window_opens_and_closes_at_its_times(#[case] now: &str, #[case] expected: Window) {
    assert_eq!(state(&[window("0 20 * * *", "6h", "UTC")], at(now)), expected);
}

#[rstest]
#[case::winter("2026-01-15T12:00:00Z", closed_until("2026-01-15T21:00:00Z"))]
#[case::summer("2026-07-15T12:00:00Z", closed_until("2026-07-15T20:00:00Z"))]
fn the_clock_of_the_zone_counts(#[case] now: &str, #[case] expected: Window) {
    assert_eq!(
        state(&[window("0 22 * * *", "6h", "Europe/Berlin")], at(now)),
        expected
    );
}

/// In Berlin the clock goes from 02:00 to 03:00 on 2026-03-29, at 01:00 UTC.
#[rstest]
#[case::before("2026-03-29T00:30:00Z", closed_until("2026-03-29T01:00:00Z"))]
#[case::right_after("2026-03-29T01:00:00Z", open_until("2026-03-29T02:00:00Z"))]
#[case::the_next_day("2026-03-29T12:00:00Z", closed_until("2026-03-30T00:30:00Z"))]
fn a_window_whose_time_is_skipped_opens_right_after_it(#[case] now: &str, #[case] expected: Window) {
    assert_eq!(
        state(&[window("30 2 * * *", "1h", "Europe/Berlin")], at(now)),
        expected
    );
}

/// In Berlin the clock goes from 03:00 back to 02:00 on 2026-10-25, at 01:00 UTC.
#[rstest]
#[case::before("2026-10-25T00:00:00Z", closed_until("2026-10-25T00:30:00Z"))]
#[case::first_time("2026-10-25T00:30:00Z", open_until("2026-10-25T01:00:00Z"))]
#[case::second_time("2026-10-25T01:30:00Z", closed_until("2026-10-26T01:30:00Z"))]
fn a_window_whose_time_comes_twice_opens_once(#[case] now: &str, #[case] expected: Window) {
    assert_eq!(
        state(&[window("30 2 * * *", "30m", "Europe/Berlin")], at(now)),
        expected
    );
}

#[rstest]
#[case::longer_night("2026-10-24T23:00:00Z", "2026-10-25T02:00:00Z")]
#[case::shorter_night("2026-03-28T23:00:00Z", "2026-03-29T03:00:00Z")]
fn a_window_lasts_as_long_as_it_says_when_the_clock_changes(#[case] now: &str, #[case] until: &str) {
    assert_eq!(
        state(&[window("0 22 * * *", "6h", "Europe/Berlin")], at(now)),
        open_until(until)
    );
}

#[test]
fn windows_that_follow_each_other_are_one() {
    let windows = [
        window("0 20 * * *", "4h", "UTC"),
        window("0 0 * * *", "1h", "UTC"),
        window("30 0 * * *", "1h", "UTC"),
        window("0 6 * * *", "1h", "UTC"),
    ];
    assert_eq!(
        state(&windows, at("2026-11-22T21:00:00Z")),
        open_until("2026-11-23T01:30:00Z")
    );
    assert_eq!(
        state(&windows, at("2026-11-23T02:00:00Z")),
        closed_until("2026-11-23T06:00:00Z")
    );
}

#[test]
fn windows_without_a_gap_have_no_end() {
    for (start, duration) in [("0 0 * * *", "24h"), ("* * * * *", "1m"), ("*/5 * * * *", "2h")] {
        let windows = [window(start, duration, "Europe/Berlin")];
        // The night in which the clock goes back is an hour longer than the window of a day.
        assert_eq!(
            state(&windows, at("2026-11-22T21:00:00Z")),
            Window::Open { until: None },
            "{start}"
        );
    }
}

#[test]
fn the_longer_of_two_open_windows_counts() {
    let windows = [
        window("0 20 * * *", "6h", "UTC"),
        window("0 21 * * *", "1h", "UTC"),
    ];
    assert_eq!(
        state(&windows, at("2026-11-22T21:30:00Z")),
        open_until("2026-11-23T02:00:00Z")
    );
}

#[test]
fn days_of_the_week_and_of_the_month_count() {
    let weekend = [window("0 22 * * FRI,SAT", "8h", "UTC")];
    assert_eq!(
        state(&weekend, at("2026-11-22T12:00:00Z")),
        closed_until("2026-11-27T22:00:00Z")
    );
    let first = [window("0 1 1 * *", "2h", "UTC")];
    assert_eq!(
        state(&first, at("2026-11-22T12:00:00Z")),
        closed_until("2026-12-01T01:00:00Z")
    );
    let leap_day = [window("0 1 29 2 *", "2h", "UTC")];
    assert_eq!(
        state(&leap_day, at("2026-11-22T12:00:00Z")),
        closed_until("2028-02-29T01:00:00Z")
    );
}

#[rstest]
#[case("")]
#[case("0 22 * *")]
#[case("0 0 22 * * *")]
#[case("0 22 * * * 2026")]
#[case("60 22 * * *")]
#[case("0 24 * * *")]
#[case("0 22 30 2 *")]
#[case("every day")]
fn a_start_that_never_comes_is_no_start(#[case] text: &str) {
    assert!(read_start(text).is_none());
}

#[rstest]
#[case("6h", Some(6 * 60))]
#[case("1h 30m", Some(90))]
#[case("90m", Some(90))]
#[case("1m", Some(1))]
#[case("744h", Some(744 * 60))]
#[case("745h", None)]
#[case("59s", None)]
#[case("-1h", None)]
#[case("6", None)]
#[case("", None)]
#[case("a while", None)]
fn a_duration_is_between_a_minute_and_31_days(#[case] text: &str, #[case] minutes: Option<i64>) {
    assert_eq!(read_duration(text).map(|duration| duration.as_mins()), minutes);
}
