//! How a column of a report is shown where there is something to show: in spreadsheets and in print.

use model::locale::Tz;

/// Presentation of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSpec {
    /// Name in the result.
    pub name: String,
    /// What the text of the column is, where the source has no type for it.
    pub kind: Option<ColumnType>,
    /// How many digits its numbers have, where the type says that: `decimal(38, 6)`.
    pub digits: Option<DecimalDigits>,
    /// Heading; the name where absent.
    pub title: Option<String>,
    /// How values are written; by the column's type where absent.
    pub format: Option<ColumnFormat>,
    /// What stands below the last row.
    pub total: Option<ColumnTotal>,
    /// Width in characters; found from the values where absent.
    pub width: Option<u16>,
    /// Zone in which points in time are shown; that of the report where absent.
    pub time_zone: Option<Tz>,
    /// Where in the cell a value stands; by the column's type where absent.
    pub align: Option<ColumnAlign>,
}

/// How the values of a column are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnFormat {
    /// As it is, numbers too: keys, years, phone numbers.
    Text,
    /// `1,234.50`: thousands in groups, so many decimals.
    Number {
        /// Digits behind the point.
        decimals: u8,
    },
    /// `12.5%` of the value 0.125.
    Percent {
        /// Digits behind the point.
        decimals: u8,
    },
    /// `€1,234.50` or `1,234.50 EUR`: a symbol stands before the number, a code of letters behind it.
    Currency {
        /// Code or symbol.
        unit: String,
        /// Digits behind the point.
        decimals: u8,
    },
    /// `2024-02-29`
    Date,
    /// `2024-02-29 12:34:56`
    Datetime,
    /// `26:03:04` of a length of time, or of a number of seconds.
    Duration,
    /// An address of the web that can be followed; other text stays text.
    Link,
}

impl ColumnFormat {
    /// Most digits behind the point.
    pub const MOST_DECIMALS: u8 = 15;

    /// Tells whether values are numbers when they are shown this way.
    #[must_use]
    pub const fn is_number(&self) -> bool {
        matches!(self, Self::Number { .. } | Self::Percent { .. } | Self::Currency { .. })
    }

    /// Tells whether values can be added up when they are shown this way.
    #[must_use]
    pub const fn has_sum(&self) -> bool {
        self.is_number() || matches!(self, Self::Duration)
    }
}

/// What the text of a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// A day of the calendar.
    Date,
    /// A day and a time that nobody said the zone of.
    Datetime,
    /// A point in time; in UTC where no offset stands behind it.
    Timestamp,
    /// An exact number.
    Decimal,
}

impl ColumnType {
    /// Every type.
    pub const ALL: [Self; 4] = [Self::Date, Self::Datetime, Self::Timestamp, Self::Decimal];

    /// Returns the name used in the catalogue.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::Datetime => "datetime",
            Self::Timestamp => "timestamp",
            Self::Decimal => "decimal",
        }
    }
}

/// How many digits the numbers of a column have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecimalDigits {
    /// Altogether, 1 to [`DecimalDigits::MOST`].
    pub precision: u8,
    /// Of these, behind the point.
    pub scale: u8,
}

impl DecimalDigits {
    /// Most digits: what every reader of Parquet knows.
    pub const MOST: u8 = 38;
}

impl std::fmt::Display for DecimalDigits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "decimal({}, {})", self.precision, self.scale)
    }
}

/// What stands below the last row of a column. Nulls count nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnTotal {
    /// Of numbers.
    Sum,
    /// Of numbers: the mean.
    Average,
    /// Of values of any type.
    Count,
    /// The smallest number, the earliest date or time, the first text.
    Min,
    /// The largest number, the latest date or time, the last text.
    Max,
}

impl ColumnTotal {
    /// Every total.
    pub const ALL: [Self; 5] = [Self::Sum, Self::Average, Self::Count, Self::Min, Self::Max];

    /// Returns the name used in the catalogue.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Average => "average",
            Self::Count => "count",
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

/// Where in its cell a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnAlign {
    /// As text does by itself.
    Left,
    /// In the middle.
    Center,
    /// As numbers do by themselves.
    Right,
}

impl ColumnAlign {
    /// Every place.
    pub const ALL: [Self; 3] = [Self::Left, Self::Center, Self::Right];

    /// Returns the name used in the catalogue.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Center => "center",
            Self::Right => "right",
        }
    }
}
