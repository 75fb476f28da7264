//! Server-sent events, as far as the broker uses them.

use std::mem;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// `message` when the stream did not say.
    pub(crate) name: String,
    pub(crate) data: String,
}

/// Makes events of bytes that arrive in any pieces. Comments, ids and unknown fields are skipped.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    after_carriage_return: bool,
    name: String,
    data: Option<String>,
}

impl Parser {
    /// The events that `bytes` complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for &byte in bytes {
            let second_half_of_line_end = byte == b'\n' && mem::take(&mut self.after_carriage_return);
            self.after_carriage_return = byte == b'\r';
            match byte {
                _ if second_half_of_line_end => {}
                b'\r' | b'\n' => events.extend(self.end_line()),
                _ => self.line.push(byte),
            }
        }
        events
    }

    /// How many bytes wait for the rest of their event.
    pub(crate) fn pending(&self) -> usize {
        self.line.len() + self.data.as_ref().map_or(0, String::len)
    }

    fn end_line(&mut self) -> Option<Event> {
        let bytes = mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&bytes);
        if line.is_empty() {
            return self.end_event();
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            _ => {}
        }
        None
    }

    fn end_event(&mut self) -> Option<Event> {
        let name = mem::take(&mut self.name);
        let data = self.data.take()?;
        Some(Event {
            name: if name.is_empty() {
                "message".to_owned()
            } else {
                name
            },
            data,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = ": hello\n\nevent: output\nid: 1:5\ndata: {\"a\":\ndata: \"ü\"}\n\r\ndata:x\r\n\r\nretry: 3\n\nevent: ended\rdata\r\r";

    fn event(name: &str, data: &str) -> Event {
        Event {
            name: name.to_owned(),
            data: data.to_owned(),
        }
    }

    #[test]
    fn events_are_the_same_wherever_the_bytes_are_split() {
        let expected = [
            event("output", "{\"a\":\n\"ü\"}"),
            event("message", "x"),
            event("ended", ""),
        ];
        for size in 1..=STREAM.len() {
            let mut parser = Parser::default();
            let events: Vec<_> = STREAM
                .as_bytes()
                .chunks(size)
                .flat_map(|piece| parser.push(piece))
                .collect();
            assert_eq!(events, expected, "pieces of {size}");
            assert_eq!(parser.pending(), 0);
        }
    }

    #[test]
    fn an_event_that_was_cut_off_never_comes() {
        let mut parser = Parser::default();
        assert_eq!(parser.push(b"event: output\ndata: {\"half"), []);
        assert!(0 < parser.pending());
    }
}
