internal import Flags
internal import JSONScanning
internal import Kafka
internal import Records

/// A topic that `martlet tail` follows.
enum TailTopic: String, CaseIterable, ExpressibleByArgument {
    case attempts
    case deadLetters = "dead-letters"
    case events
}

/// A record as `martlet tail` shows it.
protocol TailedRecord {
    var tenant: String { get }
    /// Empty for what belongs to none.
    var webhookID: String { get }
    /// For a person, in one line.
    var text: String { get }
    /// For a program: the members of an object.
    func write(to writer: inout JSONWriter)
}

/// Why a record cannot be shown.
struct UnreadableRecord: Error, Equatable, CustomStringConvertible {
    let description: String
}

extension CopiedRecord {
    /// A header's text; nil where it is absent. What is not UTF-8 is replaced.
    func text(_ name: StaticString) -> String? {
        header("\(name)").map { String(decoding: $0, as: UTF8.self) }
    }

    /// Throws `UnreadableRecord` where the header is absent or empty.
    func required(_ name: StaticString) throws(UnreadableRecord) -> String {
        guard let text = text(name), !text.isEmpty else {
            throw UnreadableRecord(description: "header \(name) is missing")
        }
        return text
    }

    /// A number in a header; nil where the header is absent. Throws `UnreadableRecord` where it is none.
    func number(_ name: StaticString) throws(UnreadableRecord) -> Int64? {
        guard let text = text(name) else { return nil }
        guard let number = Int64(text) else {
            throw UnreadableRecord(description: "header \(name) is '\(oneLine(text))': expected a number")
        }
        return number
    }

    var tenant: String { text(RecordHeader.tenant) ?? defaultTenant }

    /// Where it lies, as everywhere in the API.
    func writePlace(to writer: inout JSONWriter) {
        write(place: topicPartition.topic, topicPartition.partition, offset, to: &writer)
    }
}

/// A record's place as an object.
func write(place topic: String, _ partition: Int32, _ offset: Int64, to writer: inout JSONWriter) {
    writer.object { writer in
        writer.member("topic", topic)
        writer.member("partition", partition)
        writer.member("offset", offset)
    }
}

extension JSONWriter {
    /// Text that may be absent: then null.
    mutating func member(_ name: String, optional text: String?) {
        key(name)
        if let text, !text.isEmpty { string(text) } else { null() }
    }

    mutating func member(_ name: String, optional number: (some BinaryInteger)?) {
        key(name)
        if let number { integer(number) } else { null() }
    }

    /// Milliseconds since 1970; null where they are 0.
    mutating func member(_ name: String, time milliseconds: Int64) {
        key(name)
        if milliseconds > 0 { time(milliseconds) } else { null() }
    }
}

/// Without line breaks, tabs, and what a terminal would act upon.
func oneLine(_ text: String) -> String {
    printable(text).map { $0 == "\t" || $0.isNewline ? " " : String($0) }.joined()
}

/// The parts of a line that there are, with two blanks between.
func columns(_ parts: [String?]) -> String {
    parts.compactMap { $0 }.filter { !$0.isEmpty }.map(oneLine).joined(separator: "  ")
}
