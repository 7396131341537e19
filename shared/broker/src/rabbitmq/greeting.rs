//! What a broker says of itself before anybody has signed in. `lapin` keeps it to itself.

use std::time::Duration;

use lapin::uri::{AMQPScheme, AMQPUri};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How a client of AMQP 0-9-1 begins.
const HELLO: &[u8] = b"AMQP\x00\x00\x09\x01";
/// Bytes before the payload of a frame: type, channel, length.
const FRAME_HEAD: usize = 7;
/// More than any broker says of itself.
const LONGEST: usize = 64 << 10;

/// Returns the version that the broker names in its first frame. `None` where it does not, or where TLS would come first.
pub(super) async fn version(uri: &AMQPUri, timeout: Duration) -> Option<String> {
    if uri.scheme != AMQPScheme::AMQP {
        return None;
    }
    let asked = async {
        let mut stream = TcpStream::connect((uri.authority.host.as_str(), uri.authority.port)).await.ok()?;
        stream.write_all(HELLO).await.ok()?;
        let mut head = [0; FRAME_HEAD];
        stream.read_exact(&mut head).await.ok()?;
        let [.., a, b, c, d] = head;
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok().filter(|length| *length <= LONGEST)?;
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.ok()?;
        version_in(&payload)
    };
    tokio::time::timeout(timeout, asked).await.ok().flatten()
}

/// Finds the field `version` in a table of fields: its length and name, `S` for a text, the text's length and itself.
fn version_in(payload: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"\x07versionS";
    let at = payload.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let length = u32::from_be_bytes(payload.get(at..at + 4)?.try_into().ok()?);
    let text = payload.get(at + 4..at + 4 + usize::try_from(length).ok()?)?;
    Some(String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).take(40).collect())
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn the_version_is_read_and_nothing_is_trusted() {
        assert_eq!(
            version_in(b"\x07productS\0\0\0\x08RabbitMQ\x07versionS\0\0\0\x063.12.1x"),
            Some("3.12.1".to_owned())
        );
        for broken in [&b""[..], b"\x07versionS", b"\x07versionS\xff\xff\xff\xffabc", b"version"] {
            assert_eq!(version_in(broken), None);
        }
    }
}
