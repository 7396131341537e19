//! One conversation with a sender.

use base64::Engine;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::{Behaviour, Mail, SharedState};

/// Whether the conversation goes on.
#[derive(PartialEq, Eq)]
enum NextStep {
    GoOn,
    Close,
}

/// A connection, encrypted or not.
trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

struct Session {
    stream: BufReader<Box<dyn Duplex>>,
    /// Offered until the connection is encrypted.
    tls: Option<TlsAcceptor>,
    state: SharedState,
    from: String,
    recipients: Vec<(String, Behaviour)>,
}

/// Serves one connection to its end.
pub(super) async fn serve(stream: TcpStream, state: SharedState, tls: Option<TlsAcceptor>) {
    let stream: Box<dyn Duplex> = Box::new(stream);
    let mut session =
        Session { stream: BufReader::new(stream), tls, state, from: String::new(), recipients: Vec::new() };
    let _broken = session.run().await;
}

impl Session {
    async fn run(&mut self) -> std::io::Result<()> {
        self.answer("220 test.local ready").await?;
        while let Some(line) = self.line().await? {
            if self.execute(&line).await? == NextStep::Close {
                break;
            }
        }
        Ok(())
    }

    async fn execute(&mut self, line: &str) -> std::io::Result<NextStep> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                let tls = if self.tls.is_some() { "250-STARTTLS\r\n" } else { "" };
                let known = format!(
                    "250-test.local\r\n{tls}250-SIZE 10485760\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN LOGIN"
                );
                self.answer(&known).await?;
            }
            "STARTTLS" => return self.encrypt().await,
            "HELO" | "NOOP" => self.answer("250 fine").await?,
            "RSET" => {
                self.recipients.clear();
                self.answer("250 forgotten").await?;
            }
            "AUTH" => self.log_in(rest).await?,
            "MAIL" => {
                if let Some(refusal) = self.state.refuse_sender() {
                    self.answer(&refusal).await?;
                    return Ok(NextStep::GoOn);
                }
                (self.from, self.recipients) = (address(rest), Vec::new());
                self.answer("250 from whom").await?;
            }
            "RCPT" => return self.recipient(&address(rest)).await,
            "DATA" => return self.data().await,
            "QUIT" => {
                self.answer("221 bye").await?;
                return Ok(NextStep::Close);
            }
            _ => self.answer("502 not known here").await?,
        }
        Ok(NextStep::GoOn)
    }

    async fn encrypt(&mut self) -> std::io::Result<NextStep> {
        let Some(tls) = self.tls.take() else {
            self.answer("502 not known here").await?;
            return Ok(NextStep::GoOn);
        };
        self.answer("220 go on").await?;
        let nothing: Box<dyn Duplex> = Box::new(tokio::io::empty());
        let plain = std::mem::replace(&mut self.stream, BufReader::new(nothing)).into_inner();
        let encrypted: Box<dyn Duplex> = Box::new(tls.accept(plain).await?);
        self.stream = BufReader::new(encrypted);
        Ok(NextStep::GoOn)
    }

    async fn log_in(&mut self, rest: &str) -> std::io::Result<()> {
        let (method, first) = rest.split_once(' ').unwrap_or((rest, ""));
        let plain = method.eq_ignore_ascii_case("PLAIN");
        let mut parts = Vec::new();
        if !first.is_empty() {
            parts.push(first.to_owned());
        }
        while parts.len() < if plain { 1 } else { 2 } {
            self.answer("334 ").await?;
            parts.push(self.line().await?.unwrap_or_default());
        }
        let engine = base64::engine::general_purpose::STANDARD;
        let decode = |part: &String| engine.decode(part).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let decoded: Vec<String> = parts.iter().filter_map(|part| decode(part).ok()).collect();
        let joined = decoded.join(":").trim_start_matches('\0').replace('\0', ":");
        let refused = {
            let mut state = self.state.lock();
            state.logins.push(joined);
            state.refuses_logins
        };
        self.answer(if refused { "535 5.7.8 as the test wants it" } else { "235 welcome" }).await
    }

    async fn recipient(&mut self, recipient: &str) -> std::io::Result<NextStep> {
        let behaviour = self.state.attempt(recipient);
        if let Behaviour::Answer(code) = behaviour {
            self.answer(&format!("{code} as the test wants it")).await?;
            return Ok(if code == 421 { NextStep::Close } else { NextStep::GoOn });
        }
        if let Behaviour::AnswerLine(line) = &behaviour {
            self.answer(line).await?;
            return Ok(NextStep::GoOn);
        }
        self.recipients.push((recipient.to_owned(), behaviour));
        self.answer("250 to whom").await?;
        Ok(NextStep::GoOn)
    }

    async fn data(&mut self) -> std::io::Result<NextStep> {
        let Some((_, behaviour)) = self.recipients.first() else {
            self.answer("503 to nobody").await?;
            return Ok(NextStep::GoOn);
        };
        let behaviour = behaviour.clone();
        self.answer("354 go on").await?;
        let mut source = String::new();
        loop {
            let Some(line) = self.line().await? else { return Ok(NextStep::Close) };
            if line == "." {
                break;
            }
            source.push_str(line.strip_prefix('.').unwrap_or(&line));
            source.push_str("\r\n");
        }
        self.finish(behaviour, source).await
    }

    async fn finish(&mut self, behaviour: Behaviour, source: String) -> std::io::Result<NextStep> {
        let to = std::mem::take(&mut self.recipients).into_iter().map(|(to, _)| to).collect();
        let mail = Mail { from: std::mem::take(&mut self.from), to, source };
        match behaviour {
            Behaviour::AnswerData(code) => {
                self.answer(&format!("{code} as the test wants it")).await?;
                return Ok(if code == 421 { NextStep::Close } else { NextStep::GoOn });
            }
            Behaviour::AnswerDataLine(line) => {
                self.answer(&line).await?;
                return Ok(NextStep::GoOn);
            }
            Behaviour::LoseThenClose => return Ok(NextStep::Close),
            Behaviour::Silence => {
                // Until the sender gives up and closes.
                while self.line().await?.is_some() {}
                return Ok(NextStep::Close);
            }
            Behaviour::TakeThenClose => {
                self.state.lock().mails.push(mail);
                return Ok(NextStep::Close);
            }
            Behaviour::Slow(pause) => {
                self.state.lock().mails.push(mail);
                tokio::time::sleep(pause).await;
                self.answer("250 taken").await?;
                return Ok(NextStep::GoOn);
            }
            Behaviour::Accept
            | Behaviour::Answer(_)
            | Behaviour::AnswerLine(_)
            | Behaviour::RefuseSender(_)
            | Behaviour::AnswerThenClose => {}
        }
        self.state.lock().mails.push(mail);
        self.answer("250 taken").await?;
        Ok(if behaviour == Behaviour::AnswerThenClose { NextStep::Close } else { NextStep::GoOn })
    }

    async fn answer(&mut self, text: &str) -> std::io::Result<()> {
        self.stream.write_all(format!("{text}\r\n").as_bytes()).await
    }

    /// The next line without its end; `None` when the sender has closed.
    async fn line(&mut self) -> std::io::Result<Option<String>> {
        let mut bytes = Vec::new();
        if self.stream.read_until(b'\n', &mut bytes).await? == 0 {
            return Ok(None);
        }
        Ok(Some(String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned()))
    }
}

/// What stands between the angle brackets of `FROM:<…>` or `TO:<…>`.
fn address(rest: &str) -> String {
    let inside = rest.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or(rest, |(address, _)| address).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::{Smtp, start};

    /// Sends one mail as a client would, and returns the last answer's code; `None` when the connection was closed.
    async fn send(smtp: &Smtp, to: &str) -> Option<u16> {
        let stream = TcpStream::connect(("127.0.0.1", smtp.port())).await.unwrap();
        let mut client = BufReader::new(stream);
        let recipient = format!("RCPT TO:<{to}>");
        let login = "AUTH PLAIN AHVzZXIAcGFzcw==";
        let mail = "Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=\r\nsoft =C3=BC\r\n..dot\r\n.";
        let mut code = 0;
        for line in ["", "EHLO me", login, "MAIL FROM:<a@b>", &recipient, "DATA", mail] {
            if !line.is_empty() {
                client.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
            }
            loop {
                let mut answer = String::new();
                if client.read_line(&mut answer).await.unwrap_or_default() == 0 {
                    return None;
                }
                code = answer[..3].parse().unwrap();
                if answer.as_bytes()[3] == b' ' {
                    break;
                }
            }
            if code >= 400 {
                return Some(code);
            }
        }
        Some(code)
    }

    #[tokio::test]
    async fn a_mail_is_recorded_as_a_reader_would_see_it() {
        let smtp = start().await.unwrap();
        assert_eq!(send(&smtp, "ana@example.com").await, Some(250));
        let mails = smtp.mails_to("ana@example.com");
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].subject(), "Grüße");
        assert_eq!(mails[0].text(), "soft ü\r\n.dot\r\n");
        assert_eq!(mails[0].from, "a@b");
        assert_eq!(smtp.logins(), ["user:pass"]);
    }

    #[tokio::test]
    async fn each_recipient_is_treated_as_the_test_wants_it() {
        let smtp = start().await.unwrap();
        smtp.behave_to("late@x", Behaviour::Answer(450), 1);
        smtp.always_behave_to("never@x", Behaviour::Answer(550));
        smtp.behave_to("data@x", Behaviour::AnswerData(554), 1);
        smtp.behave_to("gone@x", Behaviour::TakeThenClose, 1);
        smtp.behave_to("lost@x", Behaviour::LoseThenClose, 1);
        assert_eq!(send(&smtp, "late@x").await, Some(450));
        assert_eq!(send(&smtp, "late@x").await, Some(250));
        assert_eq!(send(&smtp, "never@x").await, Some(550));
        assert_eq!(send(&smtp, "never@x").await, Some(550));
        assert_eq!(send(&smtp, "data@x").await, Some(554));
        assert_eq!(send(&smtp, "gone@x").await, None);
        assert_eq!(send(&smtp, "lost@x").await, None);
        let taken: Vec<String> = smtp.mails().into_iter().flat_map(|mail| mail.to).collect();
        assert_eq!(taken, ["late@x", "gone@x"]);
        assert_eq!(smtp.attempts("never@x"), 2);
    }

    #[tokio::test]
    async fn silence_is_silence() {
        let smtp = start().await.unwrap();
        smtp.always_behave(Behaviour::Silence);
        let answer = tokio::time::timeout(std::time::Duration::from_millis(200), send(&smtp, "a@x")).await;
        assert!(answer.is_err(), "it answered {answer:?}");
        smtp.behave_well();
        assert_eq!(send(&smtp, "a@x").await, Some(250));
    }
}
