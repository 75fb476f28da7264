use tempfile::TempDir;

use super::*;
use crate::output::OutputProbe;

fn line_of(container: &str, text: &str) -> Frame {
    Frame::Line {
        source: Source {
            pod: "work".to_owned(),
            container: container.to_owned(),
        },
        run: 0,
        at: DateTime::UNIX_EPOCH,
        text: text.to_owned(),
        ends: true,
    }
}

fn line(text: &str) -> Frame {
    line_of("app", text)
}

fn piece(text: &str) -> Frame {
    let mut frame = line(text);
    if let Frame::Line { ends, .. } = &mut frame {
        *ends = false;
    }
    frame
}

/// Everything that was handed on, once the tape is gone.
async fn told(mut probe: OutputProbe) -> String {
    let mut told = String::new();
    while let Some(chunk) = probe.next().await {
        told.push_str(&chunk.data);
    }
    told
}

async fn played(frames: Vec<Frame>, bytes_max: u64) -> String {
    let (output, probe) = OutputProbe::sink();
    let mut tape = Tape::blank(output, bytes_max);
    tape.add(frames).await;
    tape.finish(DateTime::UNIX_EPOCH).await;
    drop(tape);
    told(probe).await
}

/// What an agent tells that finds this tape and adds these frames.
async fn resumed(directory: &TempDir, frames: Vec<Frame>) -> (usize, String) {
    let (output, probe) = OutputProbe::sink();
    let mut tape = Tape::blank(output, 1024);
    let found = tape.load(directory.path()).await.len();
    tape.add(frames).await;
    drop(tape);
    (found, told(probe).await)
}

#[tokio::test]
async fn who_prints_is_said_when_it_changes() {
    let frames = vec![line("one"), line("two"), line_of("other", "three"), line("four")];
    assert_eq!(
        played(frames, 1024).await,
        "==> work/app <==\none\ntwo\n==> work/other <==\nthree\n==> work/app <==\nfour\n"
    );
}

#[tokio::test]
async fn pieces_of_a_line_come_together_again_unless_another_container_prints() {
    let frames = vec![
        piece("one "),
        line("line"),
        piece("cut "),
        line_of("other", "three"),
    ];
    assert_eq!(
        played(frames, 1024).await,
        "==> work/app <==\none line\ncut \n==> work/other <==\nthree\n"
    );
}

#[tokio::test]
async fn of_more_than_there_is_room_for_both_ends_are_kept() {
    let frames = (0..100).map(|index| line(&format!("line {index:02}"))).collect();
    let told = played(frames, 160).await;
    assert!(told.starts_with("==> work/app <==\nline 00\n"), "{told}");
    assert!(
        told.ends_with("line 17\n[648 bytes of output were left out here]\nline 99\n"),
        "{told}"
    );
}

#[tokio::test]
async fn very_many_empty_lines_do_not_fill_the_memory() {
    let (output, _probe) = OutputProbe::sink();
    let mut tape = Tape::blank(output, 1024 * 1024 * 1024);
    tape.head_closed = true;
    for _ in 0..100 {
        tape.add(vec![line(""); 1000]).await;
    }
    assert!(tape.tail.len() as u64 * FRAME_BYTES <= 8 * TAIL_BYTES_MAX);
    assert!(tape.omitted_bytes > 0);
}

#[tokio::test]
async fn a_tape_that_is_found_again_is_played_and_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    let first = resumed(&directory, vec![line("one"), piece("two")]).await;
    assert_eq!(first, (0, "==> work/app <==\none\ntwo".to_owned()));
    let second = resumed(&directory, vec![line(" and a half"), line("three")]).await;
    assert_eq!(
        second,
        (2, "==> work/app <==\none\ntwo and a half\nthree\n".to_owned())
    );
}

#[tokio::test]
async fn a_frame_that_was_not_written_to_its_end_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    resumed(&directory, vec![line("one"), line("two")]).await;
    let path = directory.path().join(FILE);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
    let again = resumed(&directory, vec![line("two")]).await;
    assert_eq!(again, (1, "==> work/app <==\none\ntwo\n".to_owned()));
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[tokio::test]
async fn without_a_directory_to_keep_it_the_output_is_told_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let (output, probe) = OutputProbe::sink();
    let mut tape = Tape::blank(output, 1024);
    assert!(tape.load(&file).await.is_empty());
    tape.add(vec![line("one")]).await;
    drop(tape);
    assert_eq!(told(probe).await, "==> work/app <==\none\n");
}
