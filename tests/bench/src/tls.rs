//! A certificate of the bench's own, made at run time, and who trusts it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::{Error, Result};

pub struct Tls {
    pub server: Arc<ServerConfig>,
    /// This machine's trusted roots and the bench's: as much to load as on Lambda.
    pub roots: PathBuf,
}

impl Tls {
    /// A root and a leaf for 127.0.0.1, ECDSA P-256, valid for this run; the roots go
    /// into `directory`.
    ///
    /// # Errors
    /// When keys cannot be made or the file cannot be written.
    pub fn make(directory: &Path) -> Result<Self> {
        let mut params = named("bench root", Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root_key = KeyPair::generate()?;
        let root = params.self_signed(&root_key)?;
        let issuer = Issuer::new(params, root_key);
        let mut params = named("bench", vec!["127.0.0.1".to_owned()])?;
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &issuer)?;

        let machine = PathBuf::from("/etc/ssl/certs/ca-certificates.crt");
        let machine = fs::read_to_string(&machine).map_err(|error| format!("{}: {error}", machine.display()))?;
        let roots = directory.join("roots.pem");
        fs::write(&roots, format!("{machine}\n{}", root.pem()))?;

        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone(), root.der().clone()], key)
            .map_err(Error::from)?;
        Ok(Self { server: Arc::new(server), roots })
    }
}

/// Root and leaf need names of their own: OpenSSL takes a certificate that names its
/// issuer like itself for a self-signed one.
fn named(name: &str, hosts: Vec<String>) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}
