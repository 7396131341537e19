//! A profile as `go tool pprof` and others read it: the message `Profile` of github.com/google/pprof, in the parts that are used here.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, SystemTime};

use prost::Message as _;

/// A place in the code, by its address, and the functions there: name, file and line, the innermost first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct StackFrame {
    pub(crate) address: u64,
    pub(crate) functions: Vec<(String, String, u32)>,
}

/// Where a thread was, the innermost place first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Stack {
    pub(crate) thread: String,
    pub(crate) frames: Vec<StackFrame>,
}

/// Stacks, and how often each was met.
#[derive(Debug, Default)]
pub(crate) struct StackTable(HashMap<Stack, i64>);

/// Where the program's own code lies in memory: with it, addresses are named by a copy that has its symbols.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MappedProgram {
    start: u64,
    limit: u64,
    offset: u64,
    file: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PprofProfile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<PprofValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<PprofSample>,
    #[prost(message, repeated, tag = "3")]
    mapping: Vec<PprofMapping>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<PprofLocation>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<PprofFunction>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    time_nanos: i64,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(message, optional, tag = "11")]
    period_type: Option<PprofValueType>,
    #[prost(int64, tag = "12")]
    period: i64,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct PprofValueType {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PprofSample {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
    #[prost(message, repeated, tag = "3")]
    label: Vec<PprofLabel>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct PprofLabel {
    #[prost(int64, tag = "1")]
    key: i64,
    #[prost(int64, tag = "2")]
    text: i64,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct PprofMapping {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    memory_start: u64,
    #[prost(uint64, tag = "3")]
    memory_limit: u64,
    #[prost(uint64, tag = "4")]
    file_offset: u64,
    #[prost(int64, tag = "5")]
    filename: i64,
    #[prost(bool, tag = "7")]
    has_functions: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PprofLocation {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    mapping_id: u64,
    #[prost(uint64, tag = "3")]
    address: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<PprofLineOfFunction>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct PprofLineOfFunction {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct PprofFunction {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "3")]
    system_name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
}

/// Things in the order in which they were first named, each once.
struct Numbered<T>(HashMap<T, usize>, Vec<T>);

impl<T: Clone + Eq + Hash> Numbered<T> {
    fn new() -> Self {
        Self(HashMap::new(), Vec::new())
    }

    /// The number of a thing, from 0.
    fn number(&mut self, thing: T) -> usize {
        *self.0.entry(thing).or_insert_with_key(|thing| {
            self.1.push(thing.clone());
            self.1.len() - 1
        })
    }
}

impl Numbered<String> {
    fn text(&mut self, text: &str) -> i64 {
        i64::try_from(self.number(text.to_owned())).unwrap_or_default()
    }
}

impl StackTable {
    pub(crate) fn add(&mut self, stack: Stack, count: i64) {
        *self.0.entry(stack).or_default() += count;
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&Stack, i64)> {
        self.0.iter().map(|(stack, count)| (stack, *count))
    }

    /// Writes the message.
    pub(crate) fn encode(
        &self,
        began: SystemTime,
        length: Duration,
        frequency: i32,
        program: Option<&MappedProgram>,
    ) -> Vec<u8> {
        let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        let period = 1_000_000_000 / i64::from(frequency);
        let (mut texts, mut places) = (Numbered::new(), Numbered::new());
        // The first text is always the empty one.
        texts.text("");
        let time = PprofValueType { kind: texts.text("cpu"), unit: texts.text("nanoseconds") };
        let samples = PprofValueType { kind: texts.text("samples"), unit: texts.text("count") };
        let thread = texts.text("thread");
        let sample = self.0.iter().map(|(stack, count)| PprofSample {
            location_id: stack.frames.iter().map(|frame| places.number(frame) as u64 + 1).collect(),
            value: vec![*count, count * period],
            label: vec![PprofLabel { key: thread, text: texts.text(&stack.thread) }],
        });
        let sample = sample.collect();
        let mapping = program.iter().map(|program| PprofMapping {
            id: 1,
            memory_start: program.start,
            memory_limit: program.limit,
            file_offset: program.offset,
            filename: texts.text(&program.file),
            has_functions: places.1.iter().any(|place| !place.functions.is_empty()),
        });
        let mapping = mapping.collect();
        let mut functions = Numbered::new();
        let location = places.1.iter().zip(1..).map(|(place, id)| PprofLocation {
            id,
            mapping_id: u64::from(program.is_some_and(|program| program.holds(place.address))),
            address: place.address,
            line: (place.functions.iter())
                .map(|(name, file, line)| PprofLineOfFunction {
                    function_id: functions.number((name.clone(), file.clone())) as u64 + 1,
                    line: i64::from(*line),
                })
                .collect(),
        });
        let location = location.collect();
        let function = functions.1.iter().zip(1..).map(|((name, file), id)| {
            let name = texts.text(name);
            PprofFunction { id, name, system_name: name, filename: texts.text(file) }
        });
        PprofProfile {
            sample_type: vec![samples, time],
            sample,
            mapping,
            location,
            function: function.collect(),
            time_nanos: nanos(began.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()),
            duration_nanos: nanos(length),
            period_type: Some(time),
            period,
            string_table: texts.1,
        }
        .encode_to_vec()
    }
}

impl MappedProgram {
    /// Finds this program; nothing on systems that do not say.
    pub(crate) fn own() -> Option<Self> {
        let program = std::env::current_exe().ok()?;
        Self::find(&std::fs::read_to_string("/proc/self/maps").ok()?, program.to_str()?)
    }

    /// Finds the part of a program that may be executed: `start-limit rwxp offset device inode file`.
    fn find(maps: &str, program: &str) -> Option<Self> {
        maps.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            let (range, rights, offset) = (words.next()?, words.next()?, words.next()?);
            let file = words.nth(2)?;
            let (start, limit) = range.split_once('-')?;
            let number = |text| u64::from_str_radix(text, 16).ok();
            let is_ours = rights.contains('x') && file == program;
            is_ours.then_some(Self {
                start: number(start)?,
                limit: number(limit)?,
                offset: number(offset)?,
                file: file.to_owned(),
            })
        })
    }

    fn holds(&self, address: u64) -> bool {
        (self.start..self.limit).contains(&address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_names_each_function_once_and_an_address_without_name_lies_in_its_program() {
        let maps = "55d0c0000000-55d0c0100000 r--p 00000000 fe:00 11 /usr/local/bin/api\n\
                    55d0c0100000-55d0c0900000 r-xp 00100000 fe:00 11 /usr/local/bin/api\n\
                    7f0000000000-7f0000100000 r-xp 00000000 fe:00 12 /usr/lib/libc.so.6\n";
        let program = MappedProgram::find(maps, "/usr/local/bin/api").unwrap();
        assert_eq!((program.start, program.offset), (0x55d0_c010_0000, 0x10_0000));
        let named =
            |name: &str, address| StackFrame { address, functions: vec![(name.to_owned(), "a.rs".to_owned(), 7)] };
        let bare = StackFrame { address: 0x55d0_c020_0000, functions: Vec::new() };
        let mut stacks = StackTable::default();
        let thread = "worker".to_owned();
        stacks.add(Stack { thread: thread.clone(), frames: vec![named("inner", 1), named("outer", 2)] }, 3);
        stacks.add(Stack { thread: thread.clone(), frames: vec![named("inner", 1), named("outer", 2)] }, 2);
        stacks.add(Stack { thread, frames: vec![bare.clone(), named("outer", 2)] }, 1);
        let bytes = stacks.encode(SystemTime::UNIX_EPOCH, Duration::from_secs(10), 100, Some(&program));
        let read = PprofProfile::decode(&*bytes).unwrap();
        assert_eq!((read.string_table[0].as_str(), read.duration_nanos, read.period), ("", 10_000_000_000, 10_000_000));
        let name = |at: i64| read.string_table[usize::try_from(at).unwrap()].as_str();
        let functions: Vec<&str> = read.function.iter().map(|function| name(function.name)).collect();
        assert_eq!(functions.len(), 2, "{functions:?}");
        assert!(functions.contains(&"inner") && functions.contains(&"outer"));
        assert_eq!(read.sample.iter().map(|sample| sample.value[0]).sum::<i64>(), 6);
        assert!(read.sample.iter().any(|sample| sample.value == [5, 50_000_000]), "{:?}", read.sample);
        let bare = read.location.iter().find(|location| location.address == bare.address).unwrap();
        assert_eq!((bare.mapping_id, bare.line.len()), (1, 0));
        assert_eq!(name(read.mapping[0].filename), "/usr/local/bin/api");
    }
}
