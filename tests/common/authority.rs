//! Certificates made for a test: an authority of its own, and what it has signed.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};

/// An authority that only one test knows.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, as a file has it.
    pub(crate) pem: String,
}

/// A certificate and its key, as files have them.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Identity {
    /// Both in one file.
    pub(crate) fn both(&self) -> String {
        format!("{}{}", self.certificate, self.key)
    }
}

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        let issuer = Issuer::new(params, key);
        Authority { issuer, pem }
    }

    /// A server's certificate for these names, valid until the end of a year.
    pub(crate) fn server(&self, names: &[&str], year: i32) -> Identity {
        self.sign(names, ExtendedKeyUsagePurpose::ServerAuth, year)
    }

    #[allow(dead_code, reason = "unit tests are about servers' certificates")]
    /// A client's certificate, valid until the end of a year.
    pub(crate) fn client(&self, name: &str, year: i32) -> Identity {
        self.sign(&[name], ExtendedKeyUsagePurpose::ClientAuth, year)
    }

    fn sign(&self, names: &[&str], usage: ExtendedKeyUsagePurpose, year: i32) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_after = date_time_ymd(year, 12, 31);
        params.extended_key_usages.push(usage);
        let signed = params.signed_by(&key, &self.issuer);
        Identity {
            certificate: signed.expect("a certificate").pem(),
            key: key.serialize_pem(),
        }
    }
}
