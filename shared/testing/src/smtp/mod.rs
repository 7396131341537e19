//! An SMTP server that records what it accepts and misbehaves on demand.

mod mail;
mod session;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use parking_lot::{Mutex, MutexGuard};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::tls::CertificateAuthority;

pub use mail::Mail;

/// How the server treats one recipient's mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// Takes it.
    Accept,
    /// Answers `RCPT TO` with this code; after 421 it closes the connection.
    Answer(u16),
    /// Answers `RCPT TO` with this line.
    AnswerLine(String),
    /// Answers `MAIL FROM` with this line: whoever the mail is for.
    RefuseSender(String),
    /// Answers the end of `DATA` with this code, and does not take it.
    AnswerData(u16),
    /// Answers the end of `DATA` with this line, and does not take it.
    AnswerDataLine(String),
    /// Never answers the end of `DATA`, and does not take it.
    Silence,
    /// Takes it, and closes the connection without an answer: the sender cannot know.
    TakeThenClose,
    /// Closes the connection at the end of `DATA` without taking it.
    LoseThenClose,
    /// Takes it, answers, and closes the connection at once.
    AnswerThenClose,
    /// Takes it, and answers after this time.
    Slow(Duration),
}

#[derive(Debug, Default)]
struct State {
    rules: VecDeque<Rule>,
    mails: Vec<Mail>,
    attempts: Vec<String>,
    logins: Vec<String>,
    refuses_logins: bool,
    connections: usize,
}

#[derive(Debug)]
struct Rule {
    /// `None`: everybody.
    recipient: Option<String>,
    behaviour: Behaviour,
    /// `None`: for ever.
    times: Option<usize>,
}

#[derive(Debug, Clone, Default)]
struct SharedState(Arc<Mutex<State>>);

impl SharedState {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// Notes an attempt, and takes the next behaviour that is meant for this recipient.
    fn attempt(&self, recipient: &str) -> Behaviour {
        let mut state = self.lock();
        state.attempts.push(recipient.to_owned());
        let meant = |rule: &Rule| rule.recipient.as_deref().is_none_or(|to| to.eq_ignore_ascii_case(recipient));
        state
            .take(|rule| meant(rule) && !matches!(rule.behaviour, Behaviour::RefuseSender(_)))
            .unwrap_or(Behaviour::Accept)
    }

    /// Takes the next answer to a sender who is refused.
    fn refuse_sender(&self) -> Option<String> {
        match self.lock().take(|rule| matches!(rule.behaviour, Behaviour::RefuseSender(_)))? {
            Behaviour::RefuseSender(line) => Some(line),
            _ => None,
        }
    }
}

impl State {
    /// Takes the behaviour of the first rule that fits.
    fn take(&mut self, fits: impl Fn(&Rule) -> bool) -> Option<Behaviour> {
        let at = self.rules.iter().position(fits)?;
        let rule = &mut self.rules[at];
        let behaviour = rule.behaviour.clone();
        if let Some(times) = &mut rule.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.rules.remove(at);
            }
        }
        Some(behaviour)
    }
}

/// A running server. Ends with all its connections when dropped.
#[derive(Debug)]
pub struct Smtp {
    port: u16,
    state: SharedState,
    accepting: tokio::task::JoinHandle<()>,
}

/// Starts a server that accepts everything, with or without `AUTH PLAIN`.
///
/// # Errors
/// When no port is free.
pub async fn start() -> anyhow::Result<Smtp> {
    start_session(None).await
}

/// Starts a server as [`start`] does that offers STARTTLS, with a certificate of this authority.
///
/// # Errors
/// When no port is free.
pub async fn start_with_starttls(authority: &CertificateAuthority) -> anyhow::Result<Smtp> {
    start_session(Some(authority.acceptor()?)).await
}

async fn start_session(tls: Option<TlsAcceptor>) -> anyhow::Result<Smtp> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("start the SMTP server")?;
    let (port, state) = (listener.local_addr()?.port(), SharedState::default());
    let sessions = state.clone();
    let accepting = tokio::spawn(async move {
        let mut running = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            sessions.lock().connections += 1;
            running.spawn(session::serve(stream, sessions.clone(), tls.clone()));
        }
    });
    Ok(Smtp { port, state, accepting })
}

impl Smtp {
    /// Lets nobody sign in from now on.
    pub fn refuse_logins(&self) {
        self.state.lock().refuses_logins = true;
    }

    /// `smtp+plain://127.0.0.1:<port>`
    #[must_use]
    pub fn url(&self) -> String {
        format!("smtp+plain://127.0.0.1:{}", self.port)
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Every mail that was taken, oldest first.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        self.state.lock().mails.clone()
    }

    /// The mails that were taken for one recipient.
    #[must_use]
    pub fn mails_to(&self, recipient: &str) -> Vec<Mail> {
        self.mails().into_iter().filter(|mail| mail.to.iter().any(|to| to.eq_ignore_ascii_case(recipient))).collect()
    }

    /// How often somebody tried to send to this recipient.
    #[must_use]
    pub fn attempts(&self, recipient: &str) -> usize {
        self.state.lock().attempts.iter().filter(|to| to.eq_ignore_ascii_case(recipient)).count()
    }

    /// How many connections there were.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.lock().connections
    }

    /// The users that logged in, as `user:password`.
    #[must_use]
    pub fn logins(&self) -> Vec<String> {
        self.state.lock().logins.clone()
    }

    /// From now on treats the next `times` mails to `recipient` like this; rules are tried in the order they were given.
    pub fn behave_to(&self, recipient: &str, behaviour: Behaviour, times: usize) {
        self.add(Some(recipient.to_owned()), behaviour, Some(times));
    }

    /// Treats every mail to `recipient` like this, until [`Smtp::behave_well`].
    pub fn always_behave_to(&self, recipient: &str, behaviour: Behaviour) {
        self.add(Some(recipient.to_owned()), behaviour, None);
    }

    /// Treats the next `times` mails to anybody like this.
    pub fn behave(&self, behaviour: Behaviour, times: usize) {
        self.add(None, behaviour, Some(times));
    }

    /// Treats every mail like this, until [`Smtp::behave_well`].
    pub fn always_behave(&self, behaviour: Behaviour) {
        self.add(None, behaviour, None);
    }

    /// Accepts everything from now on.
    pub fn behave_well(&self) {
        self.state.lock().rules.clear();
    }

    fn add(&self, recipient: Option<String>, behaviour: Behaviour, times: Option<usize>) {
        if times != Some(0) {
            self.state.lock().rules.push_back(Rule { recipient, behaviour, times });
        }
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
