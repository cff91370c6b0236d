import Glibc
import Testing

@testable import JSONScanning

func write(_ text: String, to path: String) throws {
    struct CannotWrite: Error {}
    guard let file = fopen(path, "w") else { throw CannotWrite() }
    defer { fclose(file) }
    guard fputs(text, file) >= 0 else { throw CannotWrite() }
}

@Suite struct ValueTests {
    private func fields(_ text: String) throws -> JSONFields { try JSONFields(JSONValue(parsing: Array(text.utf8))) }

    @Test func aTreeComesBackAsItWas() throws {
        let text = #"{"a":[1,-2.50e+3,"x\n\u00e4",{"b":null}],"c":true,"d":false,"e":{},"f":[]}"#
        let value = try JSONValue(parsing: Array(text.utf8))
        var writer = JSONWriter()
        writer.value(value)
        #expect(
            String(decoding: writer.bytes, as: UTF8.self)
                == #"{"a":[1,-2.50e+3,"x\nä",{"b":null}],"c":true,"d":false,"e":{},"f":[]}"#)
        #expect(try JSONValue(parsing: writer.bytes) == value)
    }

    @Test func fieldsAreReadByTypeAndOthersRefused() throws {
        var fields = try fields(#"{"s":"x","n":5,"b":true,"l":["a","b"],"m":{"k":"v"},"z":null}"#)
        #expect(try fields.string("s") == "x")
        #expect(try fields.integer("n", in: 1...5) == 5)
        #expect(try fields.boolean("b") == true)
        #expect(try fields.strings("l") == ["a", "b"])
        #expect(try fields.stringMap("m")?.map { "\($0.key)=\($0.value)" } == ["k=v"])
        #expect(throws: JSONFieldError(path: "z", reason: .unknown)) { try fields.refuseOthers() }
        #expect(try fields.string("z") == nil)
        #expect(try fields.string("absent") == nil)
        try fields.refuseOthers()
    }

    @Test func errorsNameTheField() throws {
        var fields = try fields(#"{"s":1,"n":1.5,"b":"true","l":["a",2],"m":{"k":[]}}"#)
        #expect(throws: JSONFieldError(path: "s", reason: .wrongType(expected: "a string", found: "a number"))) {
            try fields.string("s")
        }
        #expect(throws: JSONFieldError(path: "n", reason: .outOfRange(expected: "a whole number from 0 to 9"))) {
            try fields.integer("n", in: 0...9)
        }
        #expect(throws: JSONFieldError(path: "b", reason: .wrongType(expected: "a boolean", found: "a string"))) {
            try fields.boolean("b")
        }
        #expect(throws: JSONFieldError(path: "l[1]", reason: .wrongType(expected: "a string", found: "a number"))) {
            try fields.strings("l")
        }
        #expect(throws: JSONFieldError(path: "m.k", reason: .wrongType(expected: "a string", found: "an array"))) {
            try fields.stringMap("m")
        }
        #expect(throws: JSONFieldError(path: "q", reason: .missing)) { try fields.required("q", fields.value("q")) }
        #expect(throws: JSONFieldError.self) { try JSONFields(.array([])) }
    }

    @Test func textIsEscapedAsItMustBe() throws {
        var writer = JSONWriter()
        writer.object {
            $0.member("q\"", "a\\b\u{1}\u{1f}\n\r\t\u{7f}ä")
            $0.member("n", 5)
            $0.key("t")
            $0.time(0)
            $0.key("d")
            $0.double(.infinity)
            $0.key("l")
            $0.array {
                $0.boolean(true)
                $0.null()
            }
        }
        #expect(
            String(decoding: writer.bytes, as: UTF8.self)
                == #"{"q\"":"a\\b\u0001\u001f\n\r\t\#u{7f}ä","n":5,"t":"1970-01-01T00:00:00.000Z","d":null,"l":[true,null]}"#
        )
        #expect(throws: Never.self) { try JSONValue(parsing: writer.bytes) }
    }
}

@Suite struct TimeTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", Int64(0)), ("1969-12-31T23:59:59.999Z", -1),
        ("2024-02-29T12:34:56.789Z", 1_709_210_096_789),
        ("2026-11-21T04:23:00+01:00", 1_795_231_380_000), ("2026-11-21t04:23:00.5z", 1_795_234_980_500),
        ("2000-03-01T00:00:00.123456789-00:30", 951_870_600_123), ("2016-12-31T23:59:60Z", 1_483_228_799_000),
        ("0000-03-01T00:00:00Z", -62_162_035_200_000), ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ])
    func isRead(text: String, expected: Int64) {
        #expect(milliseconds(rfc3339: text) == expected)
    }

    @Test(arguments: [
        "", "2026-11-21", "2026-11-21T04:23:00", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-11-21T24:00:00Z",
        "2026-11-21T04:60:00Z", "2026-11-21T04:23:00.Z", "2026-11-21T04:23:00Zx", "2026-11-21T04:23:00+1:00",
        "1795234980",
        "2026-11-00T00:00:00Z", "+2026-11-21T04:23:00Z",
    ])
    func otherTextIsNoTime(text: String) { #expect(milliseconds(rfc3339: text) == nil) }

    @Test func comesBackAsItWent() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<5_000 {
            let time = Int64.random(in: -62_135_596_800_000...253_402_300_799_999, using: &generator)
            #expect(milliseconds(rfc3339: rfc3339(time)) == time)
        }
        #expect(rfc3339(1_709_210_096_789) == "2024-02-29T12:34:56.789Z")
    }
}
