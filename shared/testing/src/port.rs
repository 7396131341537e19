//! Free ports that stay ours while a server is stopped and started again.

use std::fs::File;
use std::net::TcpListener;

use anyhow::Context;

/// A port of the loopback interface nobody else takes while this value lives.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) number: u16,
    _reserved: File,
}

/// Below the range that outgoing connections are given: a client that tries to reach a stopped server again and again
/// would else be given the server's own port one day, and talk to itself.
const RANGE: std::ops::Range<u16> = 15_000..31_000;

impl Port {
    /// Reserves a port.
    pub(crate) fn reserve() -> anyhow::Result<Port> {
        let folder = std::env::temp_dir().join(format!("waitless-test-ports-{}", crate::environment::account_id()?));
        std::fs::create_dir_all(&folder).context("make the folder of reserved ports")?;
        let size = u32::from(RANGE.end - RANGE.start);
        let seed = uuid::Uuid::new_v4().as_u128();
        for step in 0..2_000_u32 {
            let offset = (u32::try_from(seed % u128::from(size))? + step * 7) % size;
            let number = RANGE.start + u16::try_from(offset)?;
            let file = File::create(folder.join(number.to_string())).context("reserve a port")?;
            if file.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Ok(Port { number, _reserved: file });
            }
        }
        anyhow::bail!("no free port between {} and {}", RANGE.start, RANGE.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_port_is_not_given_twice() {
        let ports: Vec<Port> = (0..20).map(|_| Port::reserve().unwrap()).collect();
        let mut numbers: Vec<u16> = ports.iter().map(|port| port.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 20);
    }
}
