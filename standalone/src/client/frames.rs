//! Server-sent events, taken out of the bytes they come in.

/// One event of a stream. Comments and `retry:` are left out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) id: Option<String>,
    pub(crate) event: String,
    pub(crate) data: String,
}

/// Collects bytes until a frame is whole.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    buffer: Vec<u8>,
}

/// A gateway's frames are far smaller; whatever sends more is none.
const MAX_FRAME: usize = 1 << 20;

impl Frames {
    /// Adds bytes and returns the frames that are whole now. `None`: this is no event stream.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Option<Vec<Frame>> {
        self.buffer.extend_from_slice(bytes);
        let mut frames = Vec::new();
        while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
            let frame = read(&String::from_utf8_lossy(&block));
            if frame != Frame::default() {
                frames.push(frame);
            }
        }
        (self.buffer.len() <= MAX_FRAME).then_some(frames)
    }
}

fn read(block: &str) -> Frame {
    let mut frame = Frame::default();
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => frame.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut frame.event),
            "data" => {
                if !frame.data.is_empty() {
                    frame.data.push('\n');
                }
                frame.data.push_str(value);
            }
            _ => {}
        }
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str =
        "retry: 2000\n\n: ping\n\nid: 1\nevent: submitted\ndata: {\"a\":1}\n\nevent: progress\ndata: x\ndata: y\n\n";

    #[test]
    fn frames_are_the_same_however_the_bytes_are_cut() {
        for size in 1..STREAM.len() {
            let mut frames = Frames::default();
            let found: Vec<Frame> =
                STREAM.as_bytes().chunks(size).flat_map(|chunk| frames.add(chunk).unwrap()).collect();
            assert_eq!(found.len(), 2, "{size}");
            assert_eq!(found[0], Frame { id: Some("1".into()), event: "submitted".into(), data: "{\"a\":1}".into() });
            assert_eq!(found[1].data, "x\ny");
        }
    }

    #[test]
    fn an_endless_frame_is_given_up() {
        assert!(Frames::default().add(&vec![b'x'; MAX_FRAME + 1]).is_none());
    }
}
