use tokio_postgres_rustls::MakeRustlsConnect;
pub(super) fn connector() -> MakeRustlsConnect {
    let roots = rustls::RootCertStore::empty();
    MakeRustlsConnect::new(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
