import TestSupport
import Testing

@testable import JSONScanning

private func verdict(_ bytes: [UInt8]) -> Result<JSONKind, JSONError> {
    var scanner = JSONScanner()
    return bytes.withUnsafeBytes { buffer in
        do throws(JSONError) { return .success(try scanner.validate(buffer)) } catch { return .failure(error) }
    }
}

private func verdict(_ text: String) -> Result<JSONKind, JSONError> { verdict(Array(text.utf8)) }

@Suite struct ScannerTests {
    @Test(arguments: [
        "{}", "[]", "0", "-0", "-0.5e+10", "1E9", "1e-400", "\"\"", " \t\r\n true ", "null", "false",
        #"{"a":{"a":1},"b":[{"a":2}]}"#,
        #""\u0000\ud83d\ude00\/\b""#, "\"ä€😀\"", "[[[[]]]]", "[1,2 , 3]", #"{"":0,"A":1,"a":2}"#,
    ])
    func acceptsWhatIsJSON(text: String) {
        #expect(throws: Never.self) { try verdict(text).get() }
    }

    private static let invalid: [(String, JSONError.Reason)] = [
        ("", .empty), ("  ", .empty), ("{", .unexpectedEnd), ("[1,", .unexpectedEnd), ("\"abc", .unexpectedEnd),
        ("tru", .unexpectedEnd), ("-", .unexpectedEnd), ("1.", .unexpectedEnd), ("[1,]", .unexpectedByte),
        ("{\"a\":1,}", .unexpectedByte), ("{a:1}", .unexpectedByte), ("{'a':1}", .unexpectedByte),
        ("[1 2]", .unexpectedByte),
        ("{\"a\" 1}", .unexpectedByte), ("nul!", .unexpectedByte), ("+1", .unexpectedByte), (".5", .unexpectedByte),
        ("NaN", .unexpectedByte), ("01", .invalidNumber), ("1.e5", .invalidNumber), ("1ex", .invalidNumber),
        ("-a", .invalidNumber),
        ("1 1", .trailingBytes), ("{}x", .trailingBytes), ("{}\u{0}", .trailingBytes), ("\u{feff}{}", .unexpectedByte),
        ("\"a\nb\"", .controlCharacter), ("\"\u{0}\"", .controlCharacter), (#""\x""#, .invalidEscape),
        (#""\u12g4""#, .invalidEscape),
        (#""\ud800""#, .loneSurrogate), (#""\ud800\u0041""#, .loneSurrogate), (#""\udc00""#, .loneSurrogate),
        (#"{"a":1,"a":2}"#, .duplicateKey), (#"{"a":1,"\u0061":2}"#, .duplicateKey),
        (#"[{"x":{"b":1,"b":1}}]"#, .duplicateKey),
    ]

    @Test(arguments: invalid)
    func refusesWhatIsNot(text: String, reason: JSONError.Reason) {
        guard case .failure(let error) = verdict(text) else {
            Issue.record("\(text) was accepted")
            return
        }
        #expect(error.reason == reason, "\(text): \(error)")
    }

    @Test(
        arguments: [
            [0x22, 0xff, 0x22], [0x22, 0xc0, 0x80, 0x22], [0x22, 0xe0, 0x80, 0x80, 0x22],
            [0x22, 0xed, 0xa0, 0x80, 0x22],
            [0x22, 0xf4, 0x90, 0x80, 0x80, 0x22], [0x22, 0xc3, 0x22], [0x22, 0xf0, 0x9f, 0x98, 0x22],
            [0xff, 0xfe, 0x7b, 0x00],
        ] as [[UInt8]])
    func refusesWhatIsNoUTF8(bytes: [UInt8]) {
        #expect(throws: JSONError.self) { try verdict(bytes).get() }
    }

    @Test func depthIsBound() {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(throws: Never.self) { try verdict(nested(128)).get() }
        #expect(verdict(nested(129)) == .failure(JSONError(reason: .tooDeep, offset: 128)))
        #expect(throws: JSONError.self) { try verdict(String(repeating: "{\"a\":", count: 1_000_000)).get() }
    }

    @Test func duplicatesAreFoundAmongManyKeys() {
        let keys = (0..<1_000).map { "\"k\($0)\":\($0)" }
        #expect(throws: Never.self) { try verdict("{" + keys.joined(separator: ",") + "}").get() }
        let doubled = keys + ["\"k500\":0"]
        #expect(throws: JSONError.self) { try verdict("{" + doubled.joined(separator: ",") + "}").get() }
    }

    /// Keys of every length, plain and escaped, in the middle and at the very end, where no whole word can be read any more.
    @Test func duplicatesAreFoundWhateverTheirLength() throws {
        for length in 0...40 {
            let key = String("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".prefix(length))
            let escaped = key.utf8.map { "\\u00" + String($0, radix: 16) }.joined()
            let other = key + "_"
            for (first, second) in [(key, key), (key, escaped), (escaped, key), (escaped, escaped)] {
                let text = "{\"\(first)\":1,\"\(other)\":2,\"\(second)\":3}"
                guard case .failure(let error) = verdict(text) else {
                    Issue.record("\(text) was accepted")
                    continue
                }
                #expect(error.reason == .duplicateKey)
            }
            #expect(throws: Never.self) { try verdict("{\"\(key)\":1,\"\(other)\":2}").get() }
            for byte in key.utf8.indices {
                var bytes = Array(key.utf8)
                bytes[key.utf8.distance(from: key.utf8.startIndex, to: byte)] = UInt8(ascii: "-")
                let changed = String(decoding: bytes, as: UTF8.self)
                #expect(throws: Never.self) { try verdict("{\"\(key)\":1,\"\(changed)\":2}").get() }
            }
        }
    }

    @Test func membersAreHandedOutWhereTheyLie() throws {
        let text = #" {"a" : "x\"y", "\u0062":[1, {"c":2}],"d":-1.5e3 ,"e":null,"f":true,"g":{}} "#
        let seen = try members(text)
        #expect(
            seen == [
                #"a string "x\"y""#, #"b array [1, {"c":2}]"#, "d number -1.5e3", "e null null", "f boolean true",
                "g object {}",
            ])
    }

    @Test(arguments: ["[]", "1", "\"x\""]) func onlyAnObjectHasMembers(text: String) {
        #expect(throws: JSONError(reason: .notAnObject, offset: 0)) { try members(text) }
    }

    @Test func elementsAreHandedOutWhereTheyLie() throws {
        #expect(
            try elements(#" [ {"a" : [1,2]} ,[3, [4]],"x\"]y" , -1.5e3,null ] "#)
                == [#"{"a" : [1,2]}"#, "[3, [4]]", #""x\"]y""#, "-1.5e3", "null"])
        #expect(try elements("[]") == [])
    }

    @Test(arguments: ["{}", "1", "null"]) func onlyAnArrayHasElements(text: String) {
        #expect(throws: JSONError(reason: .notAnArray, offset: 0)) { try elements(text) }
    }

    @Test(
        arguments: [("", .empty), ("[1,", .unexpectedEnd), ("[1]]", .trailingBytes), ("{]", .unexpectedByte)]
            as [(String, JSONError.Reason)])
    func elementsOfWhatIsNoJSONCountForNothing(text: String, reason: JSONError.Reason) {
        let error = #expect(throws: JSONError.self) { try elements(text) }
        #expect(error?.reason == reason)
    }

    private func elements(_ text: String) throws -> [String] {
        var scanner = JSONScanner()
        var seen: [String] = []
        var failure: JSONError?
        Array(text.utf8).withUnsafeBytes { buffer in
            do throws(JSONError) {
                try scanner.scanArray(buffer) { seen.append(String(decoding: buffer[$0], as: UTF8.self)) }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return seen
    }

    private func members(_ text: String) throws -> [String] {
        var scanner = JSONScanner()
        var seen: [String] = []
        var failure: JSONError?
        Array(text.utf8).withUnsafeBytes { buffer in
            do throws(JSONError) {
                try scanner.scanObject(buffer) { member in
                    let key = jsonText(UnsafeRawBufferPointer(rebasing: buffer[member.key]))
                    seen.append("\(key) \(member.kind) \(String(decoding: buffer[member.value], as: UTF8.self))")
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return seen
    }
}

/// The scanner's verdict against an independent parser's (CPython's, made strict), over documents that are random, and mutated, so
/// that both verdicts are common.
@Suite struct ScannerFuzzTests {
    private static let judge = """
        import json, sys
        def refuse(_): raise ValueError()
        def pairs(p):
            if len({k for k, _ in p}) != len(p): raise ValueError()
            return dict(p)
        def lone(v):
            if isinstance(v, str): v.encode('utf-8')
            elif isinstance(v, list): [lone(x) for x in v]
            elif isinstance(v, dict): [(lone(k), lone(x)) for k, x in v.items()]
        out = []
        for line in open(sys.argv[1]):
            try:
                text = bytes.fromhex(line).decode('utf-8')
                if text.startswith('\\ufeff'): raise ValueError()
                lone(json.loads(text, parse_constant=refuse, object_pairs_hook=pairs))
                out.append('1')
            except (ValueError, RecursionError): out.append('0')
        print(''.join(out))
        """

    @Test func agreesWithAnIndependentParser() async throws {
        let seed = UInt64.random(in: 0...999_999)
        var documents = DocumentSource(random: SplitMix64(seed: seed))
        let texts = (0..<30_000).map { _ in documents.next() }
        let directory = try temporaryDirectory("json")
        defer { removeDirectory(directory) }
        try write(texts.map(hex).joined(separator: "\n"), to: "\(directory)/documents")
        let child = try ChildProcess("/usr/bin/env", ["python3", "-c", Self.judge, "\(directory)/documents"])
        #expect(try await child.exit(within: .seconds(60)) == 0, "\(child.errors)")
        let theirs = child.output.utf8.filter { $0 == 0x30 || $0 == 0x31 }
        try #require(theirs.count == texts.count)
        var accepted = 0
        for (text, their) in zip(texts, theirs) {
            let ours = (try? verdict(text).get()) != nil
            accepted += ours ? 1 : 0
            #expect(ours == (their == 0x31), "seed \(seed): \(String(decoding: text, as: UTF8.self))")
            if ours { #expect(throws: Never.self) { try JSONValue(parsing: text) } }
        }
        print("json fuzz: \(texts.count) documents, \(accepted) valid")
        #expect(accepted > 3_000 && accepted < 27_000, "the documents are one-sided: the test says little")
    }

    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }
}

private struct DocumentSource {
    var random: SplitMix64

    mutating func next() -> [UInt8] {
        var bytes = Array(value(depth: 0).utf8)
        guard random.chance(60) else { return bytes }
        for _ in 0...random.below(2) { mutate(&bytes) }
        return bytes
    }

    private mutating func mutate(_ bytes: inout [UInt8]) {
        let position = random.below(bytes.count + 1)
        let interesting = Array("{}[]\",:\\0123456789-+.eEtfnu \n".utf8) + [0, 0x1f, 0x80, 0xc3, 0xed, 0xf0, 0xff]
        switch random.below(4) {
        case 0 where position < bytes.count: bytes.remove(at: position)
        case 1 where position < bytes.count: bytes[position] = interesting[random.below(interesting.count)]
        case 2: bytes.removeSubrange(position...)
        default: bytes.insert(interesting[random.below(interesting.count)], at: position)
        }
    }

    private mutating func value(depth: Int) -> String {
        switch random.below(depth > 4 ? 5 : 8) {
        case 0: return ["true", "false", "null"][random.below(3)]
        case 1: return String(Int64(bitPattern: random.next()))
        case 2:
            return "\(random.below(1_000)).\(random.below(100))e\(["", "+", "-"][random.below(3)])\(random.below(30))"
        case 3, 4: return string()
        case 5: return "[" + (0..<random.below(4)).map { _ in value(depth: depth + 1) }.joined(separator: ",") + "]"
        default:
            return "{"
                + (0..<random.below(5)).map { _ in "\(string()):\(blank())\(value(depth: depth + 1))" }.joined(
                    separator: ",") + "}"
        }
    }

    private mutating func blank() -> String { ["", " ", "\n\t"][random.below(3)] }

    private mutating func string() -> String {
        let pieces = [
            "a", "b", "key", "ä", "😀", "\\n", "\\u0041", "\\ud83d\\ude00", "\\\"", "\\\\", " ", "\\ud800", "\u{7f}",
        ]
        return "\"" + (0..<random.below(4)).map { _ in pieces[random.below(pieces.count)] }.joined() + "\""
    }
}
