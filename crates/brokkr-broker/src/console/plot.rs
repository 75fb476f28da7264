//! How many orders ended when, drawn as bars. Colours are those of the page's theme, so the drawing has classes and no colours.

use brokkr_core::life::Ending;
use plotters::chart::ChartBuilder;
use plotters::element::Rectangle;
use plotters::prelude::{DrawingAreaErrorKind, IntoDrawingArea as _, IntoFont as _, SVGBackend};
use plotters::style::{Color as _, RGBColor, TRANSPARENT};

use crate::app::recent_endings::{RecentEndings, Window};

const SIZE: (u32, u32) = (640, 200);
const FONT_SIZE: u32 = 13;
const LABELS: usize = 5;
/// From the bottom of a bar to its top.
const ENDINGS: [Ending; 5] = [
    Ending::Succeeded,
    Ending::Failed,
    Ending::Lost,
    Ending::Cancelled,
    Ending::Expired,
];

/// Colours that only stand for a class until the drawing is done.
const INK: RGBColor = RGBColor(1, 0, 20);
const GRID: RGBColor = RGBColor(1, 0, 30);

fn stand_in(index: usize) -> RGBColor {
    RGBColor(1, 0, u8::try_from(index).unwrap_or(u8::MAX))
}

fn attribute(name: &str, RGBColor(red, green, blue): RGBColor) -> String {
    format!("{name}=\"#{red:02X}{green:02X}{blue:02X}\"")
}

/// The bars of one window, as SVG that may stand in a page.
pub(super) fn bars(
    endings: &RecentEndings,
    window: Window,
    label: &str,
) -> Result<String, DrawingAreaErrorKind<std::io::Error>> {
    let mut drawn = String::new();
    draw(&mut drawn, endings, window)?;
    for (index, ending) in ENDINGS.iter().enumerate() {
        let class = format!("class=\"ended {}\"", ending.as_str());
        drawn = drawn.replace(&attribute("fill", stand_in(index)), &class);
    }
    drawn = drawn.replace(&attribute("fill", INK), "class=\"ink\"");
    drawn = drawn.replace(&attribute("stroke", GRID), "class=\"grid\"");
    Ok(drawn.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{label}\" "), 1))
}

fn draw(
    into: &mut String,
    endings: &RecentEndings,
    window: Window,
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let stacks = stacks(endings, window);
    let highest = stacks.iter().map(|stack| stack.iter().sum::<u64>()).max();
    let top = highest.unwrap_or_default().max(4) as f64 * 1.05;
    let area = SVGBackend::with_string(into, SIZE).into_drawing_area();
    let font = ("sans-serif", FONT_SIZE).into_font().color(&INK);
    let mut chart = ChartBuilder::on(&area)
        .margin(6)
        // Half of the last label stands there.
        .margin_right(24)
        .x_label_area_size(22)
        .y_label_area_size(44)
        .build_cartesian_2d(0.0..f64::from(window.buckets()), 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .label_style(font)
        .x_labels(LABELS)
        .y_labels(LABELS)
        .x_label_formatter(&|bucket| ago(*bucket, window))
        .y_label_formatter(&|orders| format!("{orders:.0}"))
        .draw()?;
    for (bucket, stack) in stacks.iter().enumerate() {
        let (left, mut bottom) = (bucket as f64, 0.0);
        for (index, orders) in stack.iter().enumerate().filter(|(_, orders)| **orders > 0) {
            let height = bottom + *orders as f64;
            let corners = [(left + 0.1, bottom), (left + 0.9, height)];
            chart.draw_series([Rectangle::new(corners, stand_in(index).filled())])?;
            bottom = height;
        }
    }
    area.present()
}

/// For each span, how many orders ended in each way.
fn stacks(endings: &RecentEndings, window: Window) -> Vec<[u64; ENDINGS.len()]> {
    let mut stacks = vec![[0; ENDINGS.len()]; window.buckets() as usize];
    let last = stacks.len() - 1;
    for count in &endings.counts {
        if let Some(index) = ENDINGS.iter().position(|ending| *ending == count.ending) {
            // Another replica's clock may be ahead by a little.
            stacks[last.min(count.bucket as usize)][index] += count.orders;
        }
    }
    stacks
}

fn ago(bucket: f64, window: Window) -> String {
    let left = (f64::from(window.buckets()) - bucket).round();
    match window {
        _ if left <= 0.0 => "now".to_owned(),
        Window::Hour => format!("{left} min ago"),
        Window::Day => format!("{} h ago", left / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::time::Timestamp;

    use super::*;
    use crate::app::recent_endings::Count;

    fn endings(counts: &[(u32, Ending, u64)]) -> RecentEndings {
        let counts = counts.iter().map(|(bucket, ending, orders)| Count {
            bucket: *bucket,
            ending: *ending,
            orders: *orders,
            losses: 0,
            earliest: Timestamp::from_micros(0),
        });
        RecentEndings {
            since: Timestamp::from_micros(0),
            counts: counts.collect(),
            slowest: Vec::new(),
            cut_at: None,
        }
    }

    #[test]
    fn each_way_to_end_is_a_bar_of_its_class_and_no_colour_is_left() {
        let endings = endings(&[
            (0, Ending::Succeeded, 3),
            (0, Ending::Failed, 1),
            (61, Ending::Lost, 2),
        ]);
        let drawn = bars(&endings, Window::Hour, "six orders").unwrap();
        let count = |class: &str| drawn.matches(&format!("class=\"ended {class}\"")).count();
        assert_eq!(
            [
                count("succeeded"),
                count("failed"),
                count("lost"),
                count("cancelled")
            ],
            [1, 1, 1, 0]
        );
        assert!(!drawn.contains("#01"), "{drawn}");
        assert!(!drawn.contains("style="), "the page's policy forbids it: {drawn}");
        assert!(drawn.contains("60 min ago") && drawn.contains("now"), "{drawn}");
    }

    #[test]
    fn an_hour_without_any_endings_is_drawn_without_bars() {
        let drawn = bars(&endings(&[]), Window::Hour, "nothing").unwrap();
        assert!(!drawn.contains("class=\"ended"), "{drawn}");
    }
}
