//! The parts of a workbook around its sheets: what is where, names, and properties.

use std::io::Write as _;

use chrono::SecondsFormat;

use super::names::{ABOUT, quoted};
use super::text::{cut, write_attribute, write_text};
use crate::{About, FileSummary};

pub(super) const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
pub(super) const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006";
pub(super) const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";
/// Most characters of a property.
const MOST_OF_PROPERTY: usize = 255;

/// One sheet of rows.
#[derive(Debug, Clone)]
pub(super) struct Sheet {
    pub(super) name: String,
    /// Rows under its header, without totals and notes.
    pub(super) rows: u32,
}

/// Starts a part.
pub(super) fn xml() -> Vec<u8> {
    b"<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n".to_vec()
}

/// Returns the part that says where the workbook is.
pub(super) fn root() -> Vec<u8> {
    let mut part = xml();
    // Writing into memory cannot fail.
    let _ = write!(
        part,
        "<Relationships xmlns=\"{PACKAGE}/relationships\">\
         <Relationship Id=\"rId1\" Type=\"{OFFICE}/relationships/officeDocument\" Target=\"xl/workbook.xml\"/>\
         <Relationship Id=\"rId2\" Type=\"{PACKAGE}/relationships/metadata/core-properties\" Target=\"docProps/core.xml\"/>\
         <Relationship Id=\"rId3\" Type=\"{OFFICE}/relationships/extended-properties\" Target=\"docProps/app.xml\"/>\
         <Relationship Id=\"rId4\" Type=\"{OFFICE}/relationships/custom-properties\" Target=\"docProps/custom.xml\"/>\
         </Relationships>"
    );
    part
}

/// Returns the part that says what made the workbook.
pub(super) fn application() -> Vec<u8> {
    let mut part = xml();
    let _ = write!(
        part,
        "<Properties xmlns=\"{OFFICE}/extended-properties\"><Application>Waitless</Application></Properties>"
    );
    part
}

/// Returns the part that says of which kind each part is. `sheets` counts the one about the report.
pub(super) fn content_types(sheets: usize) -> Vec<u8> {
    let sheet = "application/vnd.openxmlformats-officedocument.spreadsheetml";
    let document = "application/vnd.openxmlformats-officedocument";
    let mut part = xml();
    let _ = write!(
        part,
        "<Types xmlns=\"{PACKAGE}/content-types\">\
         <Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
         <Default Extension=\"xml\" ContentType=\"application/xml\"/>\
         <Override PartName=\"/docProps/app.xml\" ContentType=\"{document}.extended-properties+xml\"/>\
         <Override PartName=\"/docProps/core.xml\" \
         ContentType=\"application/vnd.openxmlformats-package.core-properties+xml\"/>\
         <Override PartName=\"/docProps/custom.xml\" ContentType=\"{document}.custom-properties+xml\"/>\
         <Override PartName=\"/xl/workbook.xml\" ContentType=\"{sheet}.sheet.main+xml\"/>\
         <Override PartName=\"/xl/styles.xml\" ContentType=\"{sheet}.styles+xml\"/>\
         <Override PartName=\"/xl/sharedStrings.xml\" ContentType=\"{sheet}.sharedStrings+xml\"/>"
    );
    for number in 1..=sheets {
        let _ = write!(
            part,
            "<Override PartName=\"/xl/worksheets/sheet{number}.xml\" ContentType=\"{sheet}.worksheet+xml\"/>"
        );
    }
    part.extend_from_slice(b"</Types>");
    part
}

/// Returns the part that lists the sheets, that about the report last. `last` is the letters of the last column.
pub(super) fn workbook(sheets: &[Sheet], last: &str) -> Vec<u8> {
    let mut part = xml();
    let _ = write!(
        part,
        "<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}/relationships\"><workbookPr/>\
         <bookViews><workbookView xWindow=\"0\" yWindow=\"0\" windowWidth=\"28800\" windowHeight=\"17000\"/></bookViews><sheets>"
    );
    let names = sheets.iter().map(|sheet| sheet.name.as_str()).chain([ABOUT]);
    for (number, name) in (1..).zip(names) {
        part.extend_from_slice(b"<sheet name=\"");
        write_attribute(&mut part, name);
        let _ = write!(part, "\" sheetId=\"{number}\" r:id=\"rId{number}\"/>");
    }
    part.extend_from_slice(b"</sheets><definedNames>");
    for (index, sheet) in sheets.iter().enumerate() {
        let mut sheet_name = Vec::new();
        write_text(&mut sheet_name, &quoted(&sheet.name));
        let name = String::from_utf8_lossy(&sheet_name);
        let _ = write!(
            part,
            "<definedName name=\"_xlnm._FilterDatabase\" localSheetId=\"{index}\" hidden=\"1\">{name}!$A$1:${last}${}</definedName>",
            sheet.rows + 1
        );
    }
    for (index, sheet) in sheets.iter().enumerate() {
        let mut sheet_name = Vec::new();
        write_text(&mut sheet_name, &quoted(&sheet.name));
        let name = String::from_utf8_lossy(&sheet_name);
        let _ = write!(
            part,
            "<definedName name=\"_xlnm.Print_Titles\" localSheetId=\"{index}\">{name}!$1:$1</definedName>"
        );
    }
    part.extend_from_slice(b"</definedNames></workbook>");
    part
}

/// Returns the part that says where the sheets are. `sheets` counts the one about the report.
pub(super) fn workbook_relations(sheets: usize) -> Vec<u8> {
    let mut part = xml();
    let _ = write!(part, "<Relationships xmlns=\"{PACKAGE}/relationships\">");
    let mut relate = |number: usize, kind: &str, target: &str| {
        let _ = write!(
            part,
            "<Relationship Id=\"rId{number}\" Type=\"{OFFICE}/relationships/{kind}\" Target=\"{target}\"/>"
        );
    };
    for number in 1..=sheets {
        relate(number, "worksheet", &format!("worksheets/sheet{number}.xml"));
    }
    relate(sheets + 1, "styles", "styles.xml");
    relate(sheets + 2, "sharedStrings", "sharedStrings.xml");
    part.extend_from_slice(b"</Relationships>");
    part
}

/// Returns the part with the properties every document has.
pub(super) fn core_properties(about: &About) -> Vec<u8> {
    let mut part = xml();
    let _ = write!(
        part,
        "<cp:coreProperties xmlns:cp=\"{PACKAGE}/metadata/core-properties\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\" \
         xmlns:dcterms=\"http://purl.org/dc/terms/\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><dc:title>"
    );
    write_text(&mut part, &about.title);
    part.extend_from_slice(b"</dc:title><dc:creator>Waitless</dc:creator><dc:description>");
    write_text(&mut part, &about.description);
    let _ = write!(
        part,
        "</dc:description><dcterms:created xsi:type=\"dcterms:W3CDTF\">{}</dcterms:created></cp:coreProperties>",
        about.snapshot_at.to_rfc3339_opts(SecondsFormat::Secs, true)
    );
    part
}

/// Returns the part with the receipt, as properties that programs read.
pub(super) fn custom_properties(about: &About, summary: FileSummary) -> Vec<u8> {
    let mut part = xml();
    let _ = write!(part, "<Properties xmlns=\"{OFFICE}/custom-properties\" xmlns:vt=\"{OFFICE}/docPropsVTypes\">");
    let mut names: Vec<String> = Vec::new();
    let mut property = |name: &str, kind: &str, value: &str| {
        let mut unique = cut(name, MOST_OF_PROPERTY).into_owned();
        let mut number = 2;
        while names.iter().any(|known| known.eq_ignore_ascii_case(&unique)) {
            let suffix = format!(" ({number})");
            unique = format!("{}{suffix}", cut(name, MOST_OF_PROPERTY - suffix.len()));
            number += 1;
        }
        let id = names.len() + 2;
        let _ = write!(part, "<property fmtid=\"{{D5CDD505-2E9C-101B-9397-08002B2CF9AE}}\" pid=\"{id}\" name=\"");
        write_attribute(&mut part, &unique);
        let _ = write!(part, "\"><vt:{kind}>");
        // The sheet about the report has it whole.
        write_text(&mut part, &cut(value, MOST_OF_PROPERTY));
        let _ = write!(part, "</vt:{kind}></property>");
        names.push(unique);
    };
    property("Report", "lpwstr", &about.report);
    property("Report version", "lpwstr", &about.report_version);
    property("Job", "lpwstr", &about.job_id.to_string());
    property("Snapshot", "filetime", &about.snapshot_at.to_rfc3339_opts(SecondsFormat::Secs, true));
    // A property is a number of 32 bits, or not a whole one.
    let kind = if i32::try_from(summary.rows).is_ok() { "i4" } else { "r8" };
    property("Rows", kind, &summary.rows.to_string());
    property("Complete", "bool", if summary.complete { "true" } else { "false" });
    for (label, value) in &about.params {
        property(&format!("Parameter: {label}"), "lpwstr", value);
    }
    part.extend_from_slice(b"</Properties>");
    part
}
