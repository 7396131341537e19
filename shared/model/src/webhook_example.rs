use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Tells whether one of the secrets signed a request less than five minutes ago. The body is as it came.
fn is_signed(body: &[u8], id: &str, timestamp: &str, signatures: &str, secrets: &[&str], now: i64) -> bool {
    let is_recent = timestamp.parse::<i64>().is_ok_and(|signed| now.abs_diff(signed) <= 300);
    let signed_by = |secret: &str| {
        let key = STANDARD.decode(secret.strip_prefix("whsec_")?).ok()?;
        let mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
        let mac = mac.chain_update(format!("{id}.{timestamp}.")).chain_update(body);
        let of_version_1 = signatures.split(' ').filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok());
        of_version_1.into_iter().find(|signature| mac.clone().verify_slice(signature).is_ok())
    };
    is_recent && secrets.iter().any(|secret| signed_by(secret).is_some())
}
