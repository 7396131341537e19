//! What the file says of itself to programs: catalogue, properties, and the same again as XMP.

use pdf_writer::{Date, Finish as _, Name, TextStr};

use super::heading::snapshot_text;
use super::objects::{FixedObject, Objects, fixed};
use crate::{About, FileSummary};

const PRODUCER: &str = concat!("Waitless ", env!("CARGO_PKG_VERSION"));
/// Our own words on the page are English.
const LANGUAGE: &str = "en";

/// Writes catalogue, properties and XMP. All times are the snapshot's, so that the same rows make the same file.
pub(super) fn write(objects: &mut Objects, about: &About, summary: FileSummary, out: &mut Vec<u8>) {
    objects.put(FixedObject::Catalog, out, |chunk, id| {
        let mut catalog = chunk.indirect(id).start::<pdf_writer::writers::Catalog<'_>>();
        catalog.pages(fixed(FixedObject::Pages)).metadata(fixed(FixedObject::Xmp)).lang(TextStr(LANGUAGE));
        catalog.viewer_preferences().display_doc_title(true);
    });
    let receipt = receipt(about, summary);
    objects.put(FixedObject::Info, out, |chunk, id| {
        let mut info = chunk.indirect(id).start::<pdf_writer::writers::DocumentInfo<'_>>();
        info.title(TextStr(&about.title)).creator(TextStr("Waitless")).producer(TextStr(PRODUCER));
        if !about.description.is_empty() {
            info.subject(TextStr(&about.description));
        }
        info.creation_date(date(about)).modified_date(date(about));
        for (name, value) in &receipt {
            info.pair(Name(name.as_bytes()), TextStr(value));
        }
        info.finish();
    });
    let xmp = xmp(about, &receipt);
    objects.put(FixedObject::Xmp, out, |chunk, id| {
        chunk.metadata(id, xmp.as_bytes());
    });
}

fn receipt(about: &About, summary: FileSummary) -> Vec<(&'static str, String)> {
    let params: serde_json::Map<String, serde_json::Value> =
        about.params.iter().map(|(label, value)| (label.clone(), value.clone().into())).collect();
    vec![
        ("Report", about.report.clone()),
        ("ReportVersion", about.report_version.clone()),
        ("Job", about.job_id.to_string()),
        ("Parameters", serde_json::Value::Object(params).to_string()),
        ("Snapshot", about.snapshot_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)),
        ("Rows", summary.rows.to_string()),
        ("Complete", summary.complete.to_string()),
    ]
}

fn date(about: &About) -> Date {
    use chrono::{Datelike as _, Timelike as _};
    let at = about.snapshot_at;
    let part = |value: u32| u8::try_from(value).unwrap_or(0);
    Date::new(u16::try_from(at.year()).unwrap_or(0))
        .month(part(at.month()))
        .day(part(at.day()))
        .hour(part(at.hour()))
        .minute(part(at.minute()))
        .second(part(at.second()))
        .utc_offset_hour(0)
        .utc_offset_minute(0)
}

fn xmp(about: &About, receipt: &[(&'static str, String)]) -> String {
    let at = about.snapshot_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let own: String = receipt
        .iter()
        .map(|(name, value)| format!("<waitless:{name}>{}</waitless:{name}>\n", escaped(value)))
        .collect();
    let alt = |text: &str| format!("<rdf:Alt><rdf:li xml:lang=\"x-default\">{}</rdf:li></rdf:Alt>", escaped(text));
    format!(
        "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n\
         <x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n\
         <rdf:Description rdf:about=\"\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\" \
         xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\" xmlns:pdf=\"http://ns.adobe.com/pdf/1.3/\" \
         xmlns:waitless=\"urn:waitless:receipt:1\">\n\
         <dc:format>application/pdf</dc:format>\n<dc:title>{}</dc:title>\n<dc:description>{}</dc:description>\n\
         <dc:language><rdf:Bag><rdf:li>{LANGUAGE}</rdf:li></rdf:Bag></dc:language>\n\
         <xmp:CreatorTool>Waitless</xmp:CreatorTool>\n<xmp:CreateDate>{at}</xmp:CreateDate>\n\
         <xmp:ModifyDate>{at}</xmp:ModifyDate>\n<pdf:Producer>{PRODUCER}</pdf:Producer>\n{own}\
         </rdf:Description></rdf:RDF></x:xmpmeta>\n<?xpacket end=\"r\"?>",
        alt(&about.title),
        alt(&about.description),
    )
}

/// Escapes text for XML; characters that it cannot hold become the replacement character.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '\t' | '\n' | '\r' => safe.push(char),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => safe.push(char::REPLACEMENT_CHARACTER),
            other => safe.push(other),
        }
    }
    safe
}

/// Returns what stands at the foot of each page.
pub(super) fn foot(about: &About) -> String {
    format!("{}  ·  {}", about.title, snapshot_text(about))
}
