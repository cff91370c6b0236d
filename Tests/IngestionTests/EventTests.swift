import HTTPServing
import JSONScanning
import Testing

@testable import Ingestion
@testable import Kafka

/// From a body to a record.
@Suite struct EventTests {
    private func parse(_ body: String, maximumBytes: Int = 262_144) throws(HTTPProblem) -> ParsedEvent {
        var parser = EventParser(maximumBytes: maximumBytes)
        return try parse(Array(body.utf8), with: &parser)
    }

    private func parse(_ body: [UInt8], with parser: inout EventParser) throws(HTTPProblem) -> ParsedEvent {
        let result: Result<ParsedEvent, HTTPProblem> = body.withUnsafeBytes { bytes in
            do throws(HTTPProblem) { return .success(try parser.parse(bytes)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// A record's parts, as text.
    private struct Built {
        var value: String
        var key: String
        var id: String
        var headers: [String]
    }

    private func build(_ text: String, tenant: String = "acme", traceParent: String? = nil) throws -> Built {
        var parser = EventParser(maximumBytes: 262_144)
        let body = Array(text.utf8)
        let event = try parse(body, with: &parser)
        var record = EventRecord()
        var stamp = EventStamp()
        // Filled twice: nothing of the first may be left.
        for tenant in ["another-tenant", tenant] {
            body.withUnsafeBytes { body in
                let trace = traceParent.map { Array($0.utf8) }
                if let trace {
                    trace.withUnsafeBytes {
                        record.build(event, body: body, tenant: tenant, traceParent: $0, stamp: &stamp)
                    }
                } else {
                    record.build(event, body: body, tenant: tenant, traceParent: nil, stamp: &stamp)
                }
            }
        }
        return Built(
            value: String(decoding: record.value, as: UTF8.self), key: String(decoding: record.key, as: UTF8.self),
            id: String(decoding: record.idJSON, as: UTF8.self), headers: unpacked(record.headers))
    }

    /// `name=value`, from the packed form: two lengths, then name and value.
    private func unpacked(_ headers: RecordHeaders) -> [String] {
        headers.bytes.withUnsafeBytes { bytes in
            var index = 0
            func take(_ count: Int) -> String {
                defer { index += count }
                return String(decoding: bytes[index..<(index + count)], as: UTF8.self)
            }
            func length() -> Int {
                defer { index += 4 }
                return Int(bytes.loadUnaligned(fromByteOffset: index, as: UInt32.self))
            }
            return (0..<headers.count).map { _ in
                let (name, value) = (length(), length())
                return "\(take(name))=\(take(value))"
            }
        }
    }

    // MARK: Good events

    @Test func dataGoesThroughByteForByte() throws {
        let data = "{ \"z\" : [1.50e+3, \"\\u00e4\\/\", null ],\n\t\"a\":-0.0,\"ä\":\"\u{10348}\" }"
        let built = try build(
            " {\"data\": \(data) ,\"timestamp\":\"2026-11-21T05:00:00.123456+01:00\", \"type\":\"user.created\","
                + "\"ordering_key\":\"user-1\",\"source\":\"user service\",\"id\":\"event-123\"}\n")
        #expect(
            built.value
                == "{\"id\":\"event-123\",\"type\":\"user.created\",\"source\":\"user service\","
                + "\"timestamp\":\"2026-11-21T05:00:00.123456+01:00\",\"data\":\(data)}")
        #expect(built.key == "acme\u{0}user-1")
        #expect(built.id == "\"event-123\"")
        #expect(
            built.headers.sorted() == [
                "ce_id=event-123", "ce_source=user service", "ce_specversion=1.0",
                "ce_time=2026-11-21T05:00:00.123456+01:00", "ce_type=user.created", "content-type=application/json",
                "orderingkey=user-1", "tenant=acme",
            ])
    }

    @Test func whatIsMissingIsSupplied() throws {
        let built = try build(#"{"type":"a","source":"b","id":null,"timestamp":null,"ordering_key":null}"#)
        guard case .object(let value) = try JSONValue(parsing: Array(built.value.utf8)),
            case .string(let id)? = value["id"], case .string(let time)? = value["timestamp"]
        else {
            Issue.record("\(built.value)")
            return
        }
        #expect(value.keys == ["id", "type", "source", "timestamp", "data"])
        #expect(value["data"] == .null)
        #expect(milliseconds(rfc3339: time) != nil)
        let digits = "[0-9a-f]"
        let pattern = try Regex("\(digits){8}-\(digits){4}-7\(digits){3}-[89ab]\(digits){3}-\(digits){12}")
        #expect(id.wholeMatch(of: pattern) != nil)
        #expect(built.key == "acme\u{0}\(id)" && built.id == "\"\(id)\"")
        #expect(built.headers.contains("ce_id=\(id)") && built.headers.contains("ce_time=\(time)"))
        #expect(!built.headers.contains { $0.hasPrefix("orderingkey") || $0.hasPrefix("traceparent") })
    }

    @Test func escapesStayInTheBodyAndAreUndoneInHeaders() throws {
        let built = try build(#"{"id":"a\"\u0062\/","type":"\u0061","source":"\ud83d\ude00","ordering_key":"\\"}"#)
        #expect(built.value.hasPrefix(#"{"id":"a\"\u0062\/","type":"\u0061","source":"\ud83d\ude00","timestamp":""#))
        #expect(Set(built.headers).isSuperset(of: ["ce_id=a\"b/", "ce_type=a", "ce_source=😀", "orderingkey=\\"]))
        #expect(built.key == "acme\u{0}\\")
    }

    @Test func drawnIDsAscendAndDiffer() {
        var stamp = EventStamp()
        var ids: Set<[UInt8]> = []
        var last: ArraySlice<UInt8> = []
        for _ in 0..<2_000 {
            stamp.readClock()
            let id = stamp.drawID()
            ids.insert(id)
            #expect(!id[..<13].lexicographicallyPrecedes(last))
            last = id[..<13]
        }
        #expect(ids.count == 2_000)
    }

    @Test(arguments: [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", true),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", false),
        ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false),
        ("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
        ("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
        ("00-0af7651916cd43dd8448eb211c80319c0b7ad6b7169203331-01", false),
        ("00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01", false),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-", false), ("", false),
    ])
    func traceParentsArePassedOnWhereTheyAreRight(text: String, isRight: Bool) throws {
        let built = try build(#"{"type":"a","source":"b"}"#, traceParent: text)
        #expect(built.headers.contains("traceparent=\(text)") == isRight)
    }

    // MARK: Bad ones

    @Test(arguments: [
        ("", "400 invalid_json -"), ("{", "400 invalid_json -"), ("[]", "400 invalid_json -"),
        ("{\"type\":\"a\",\"source\":\"b\",}", "400 invalid_json -"), ("\u{feff}{}", "400 invalid_json -"),
        ("{\"type\":\"a\",\"source\":\"b\"}x", "400 invalid_json -"),
        ("{\"type\":\"a\",\"source\":\"\\ud800\"}", "400 invalid_json -"),
        ("{\"type\":\"a\",\"source\":\"b\",\"type\":\"c\"}", "400 duplicate_field type"),
        ("{\"type\":\"a\",\"source\":\"b\",\"data\":{\"x\":1,\"x\":2}}", "400 duplicate_field x"),
        ("{\"type\":\"a\",\"source\":\"b\",\"payload\":1}", "422 unknown_field payload"),
        ("{\"type\":\"a\",\"source\":\"b\",\"ID\":\"1\"}", "422 unknown_field ID"),
        ("{\"t\\u0079pe\":\"a\",\"source\":\"b\"}", "422 unknown_field type"),
        ("{}", "422 field_required type"), ("{\"type\":\"a\"}", "422 field_required source"),
        ("{\"type\":null,\"source\":\"b\"}", "422 field_required type"),
        ("{\"type\":1,\"source\":\"b\"}", "422 field_invalid type"),
        ("{\"type\":\"\",\"source\":\"b\"}", "422 field_invalid type"),
        ("{\"type\":\"a..b\",\"source\":\"b\"}", "422 field_invalid type"),
        ("{\"type\":\"a b\",\"source\":\"b\"}", "422 field_invalid type"),
        ("{\"type\":\"a*\",\"source\":\"b\"}", "422 field_invalid type"),
        ("{\"type\":\"a\",\"source\":[]}", "422 field_invalid source"),
        ("{\"type\":\"a\",\"source\":\"\"}", "422 field_invalid source"),
        ("{\"type\":\"a\",\"source\":\"b\\r\\nX: y\"}", "422 field_invalid source"),
        ("{\"type\":\"a\",\"source\":\"b\",\"id\":1}", "422 field_invalid id"),
        ("{\"type\":\"a\",\"source\":\"b\",\"id\":\"\"}", "422 field_invalid id"),
        ("{\"type\":\"a\",\"source\":\"b\",\"id\":\"\\u0000\"}", "422 field_invalid id"),
        ("{\"type\":\"a\",\"source\":\"b\",\"timestamp\":\"yesterday\"}", "422 field_invalid timestamp"),
        ("{\"type\":\"a\",\"source\":\"b\",\"timestamp\":\"2026-02-30T00:00:00Z\"}", "422 field_invalid timestamp"),
        ("{\"type\":\"a\",\"source\":\"b\",\"timestamp\":1763699000}", "422 field_invalid timestamp"),
        ("{\"type\":\"a\",\"source\":\"b\",\"ordering_key\":true}", "422 field_invalid ordering_key"),
    ])
    func badEventsNameTheirField(body: String, expected: String) {
        do throws(HTTPProblem) {
            _ = try parse(body)
            Issue.record("\(body) was taken")
        } catch {
            #expect("\(error.status) \(error.code) \(error.field ?? "-")" == expected)
        }
    }

    @Test(arguments: ["id", "source", "ordering_key"]) func textsAreBounded(field: String) throws {
        func body(_ count: Int) -> String {
            let others = field == "source" ? "" : #","source":"b""#
            return #"{"type":"a"\#(others),"\#(field)":"\#(String(repeating: "x", count: count))"}"#
        }
        _ = try parse(body(256))
        let problem = #expect(throws: HTTPProblem.self) { _ = try parse(body(257)) }
        #expect(problem?.status == 422 && problem?.field == field)
    }

    @Test func bodiesAreBounded() throws {
        let body = #"{"type":"a","source":"b","data":"\#(String(repeating: "x", count: 1_000))"}"#
        _ = try parse(body, maximumBytes: body.utf8.count)
        let problem = #expect(throws: HTTPProblem.self) { _ = try parse(body, maximumBytes: body.utf8.count - 1) }
        #expect(problem?.status == 413 && problem?.code == "too_large")
    }
}
