//! Who a client is by its certificate: the names in it, read once for the connection. Whether it is to be believed was decided before,
//! by the handshake; a certificate that cannot be read names nobody.

use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::x509::X509Name;

/// Attributes that are read of one name. The loser is the last.
const ATTRIBUTES: usize = 32;

/// The names of a verified client certificate, attribute by attribute: type, as in `CN`, and value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Whose it is.
    pub subject: Vec<(Box<str>, Box<str>)>,
    /// Who vouches for it.
    pub issuer: Vec<(Box<str>, Box<str>)>,
    /// SHA-256 of all of it: what a token can be bound to (RFC 8705, section 3.1).
    pub thumbprint: [u8; 32],
}

impl ClientCertificate {
    /// Reads a certificate in DER.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        let thumbprint = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der).as_ref().try_into().ok()?;
        Some(Self { subject: attributes(certificate.subject()), issuer: attributes(certificate.issuer()), thumbprint })
    }
}

fn attributes(name: &X509Name<'_>) -> Vec<(Box<str>, Box<str>)> {
    let read = name.iter_attributes().filter_map(|attribute| {
        let kind = oid2abbrev(attribute.attr_type(), oid_registry()).ok()?;
        Some((kind.into(), attribute.as_str().ok()?.into()))
    });
    read.take(ATTRIBUTES).collect()
}
