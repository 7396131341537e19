//! A certificate authority of a test's own, and TLS in front of servers that do not speak it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::account::Account;

/// An authority nobody else knows, and the certificate it gave to one server.
#[derive(Debug)]
pub struct CertificateAuthority {
    folder: tempfile::TempDir,
    certificate: String,
    key: String,
}

/// Takes TLS connections and passes on what is in them. Ends with its connections when dropped.
#[derive(Debug)]
pub struct TlsProxy {
    port: u16,
    accepting: tokio::task::JoinHandle<()>,
}

impl CertificateAuthority {
    /// Makes an authority and a certificate for a server of these names or addresses.
    ///
    /// # Errors
    /// When a name is none, or files cannot be written.
    pub fn of(names: &[&str]) -> anyhow::Result<CertificateAuthority> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "CertificateAuthority of a test");
        let authority_key = KeyPair::generate()?;
        let authority = params.self_signed(&authority_key)?;
        let key = KeyPair::generate()?;
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let issuer = Issuer::new(params, authority_key);
        let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?.pem();
        let folder = crate::environment::own_folder("tls")?;
        std::fs::write(folder.path().join("ca.pem"), authority.pem())?;
        Ok(CertificateAuthority { folder, certificate, key: key.serialize_pem() })
    }

    /// The authority's own certificate, for those who are to trust it.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Settings for a private PostgreSQL that answers with the certificate.
    ///
    /// # Errors
    /// When files cannot be written.
    pub fn for_postgres(&self) -> anyhow::Result<Vec<String>> {
        let (certificate, key) = (self.folder.path().join("server.pem"), self.folder.path().join("server.key"));
        std::fs::write(&certificate, &self.certificate)?;
        std::fs::write(&key, &self.key)?;
        // PostgreSQL refuses a key that others could read.
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        Account::choose(&["postgres", "nobody"])?.give(self.folder.path())?;
        Ok(vec![
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", certificate.display()),
            format!("ssl_key_file={}", key.display()),
        ])
    }

    /// Answers TLS handshakes with the certificate.
    ///
    /// # Errors
    /// When the certificate cannot be used.
    pub fn acceptor(&self) -> anyhow::Result<TlsAcceptor> {
        let chain = vec![CertificateDer::from_pem_slice(self.certificate.as_bytes())?];
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Speaks TLS on a free port in front of a server.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn in_front_of(&self, server: SocketAddr) -> anyhow::Result<TlsProxy> {
        let acceptor = self.acceptor()?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("listen with TLS")?;
        let port = listener.local_addr()?.port();
        let accepting = tokio::spawn(async move {
            let mut running = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                running.spawn(pass_on(acceptor.clone(), stream, server));
            }
        });
        Ok(TlsProxy { port, accepting })
    }
}

async fn pass_on(acceptor: TlsAcceptor, stream: TcpStream, server: SocketAddr) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut behind = TcpStream::connect(server).await?;
    tokio::io::copy_bidirectional(&mut stream, &mut behind).await?;
    Ok(())
}

impl TlsProxy {
    /// The port it listens on, at 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
