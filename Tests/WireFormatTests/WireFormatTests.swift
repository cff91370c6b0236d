import Testing

@testable import WireFormat

@Suite struct WireFormatTests {
    private func read(_ bytes: [UInt8]) -> Result<Int, WireError> {
        bytes.withUnsafeBytes { buffer in
            var reader = WireReader(buffer)
            var count = 0
            do throws(WireError) {
                while try reader.next() != nil { count += 1 }
                return .success(count)
            } catch {
                return .failure(error)
            }
        }
    }

    /// The encodings of https://protobuf.dev/programming-guides/encoding/.
    @Test func writesTheDocumentedBytes() {
        var writer = WireWriter()
        writer.varint(1, 150)
        writer.string(2, "testing")
        writer.message(3) { $0.varint(1, 150) }
        writer.int64(4, -2)
        writer.fixed64(5, 1)
        writer.bool(6, true)
        let testing: [UInt8] = [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]
        #expect(
            writer.bytes == [0x08, 0x96, 0x01] + testing + [0x1a, 0x03, 0x08, 0x96, 0x01]
                + [0x20, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]
                + [0x29, 1, 0, 0, 0, 0, 0, 0, 0] + [0x30, 1])
    }

    /// Whoever writes repeated numbers may pack them or not, and a reader takes both.
    @Test func repeatedNumbersArePackedAndReadEitherWay() throws {
        var writer = WireWriter()
        writer.varints(4, [3, 270, 86_942])
        writer.varints(5, [])
        #expect(writer.bytes == [0x22, 0x06, 0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05])
        writer.varint(4, 7)
        var seen: [UInt64] = []
        try writer.bytes.withUnsafeBytes { buffer in
            var reader = WireReader(buffer)
            while let field = try reader.next() { seen += try field.varints() }
        }
        #expect(seen == [3, 270, 86_942, 7])
        try ([0x22, 0x01, 0x80] as [UInt8]).withUnsafeBytes { buffer in
            var reader = WireReader(buffer)
            let field = try #require(try reader.next())
            #expect(throws: WireError.truncated) { try field.varints() }
        }
    }

    @Test func defaultsAreLeftOut() {
        var writer = WireWriter()
        writer.varint(1, 0)
        writer.string(2, "")
        writer.bytes(3, [])
        writer.bool(4, false)
        writer.fixed64(5, 0)
        #expect(writer.bytes.isEmpty)
    }

    @Test(arguments: [
        ([0x08], WireError.truncated), ([0x08, 0x80], .truncated), ([0x12, 0x05, 0x61], .truncated),
        ([0x09, 1, 2], .truncated),
        ([0x0d, 1, 2], .truncated), ([0x00, 0x01], .badField(0)), ([0x0b], .badWireType(field: 1, type: 3)),
        ([0x08] + Array(repeating: 0xff, count: 10), .varintTooLong),
        ([0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], .truncated),
    ])
    func refusesWhatIsNoMessage(bytes: [UInt8], expected: WireError) {
        #expect(read(bytes) == .failure(expected))
    }

    @Test func fieldsSayWhenTheyAreOfAnotherType() throws {
        let bytes: [UInt8] = [0x08, 0x01, 0x12, 0x02, 0xc3, 0x28]
        try bytes.withUnsafeBytes { buffer in
            var reader = WireReader(buffer)
            let number = try #require(try reader.next())
            #expect(throws: WireError.wrongType(field: 1)) { try number.string() }
            let text = try #require(try reader.next())
            #expect(throws: WireError.invalidUTF8(field: 2)) { try text.string() }
            #expect(throws: WireError.wrongType(field: 2)) { try text.varint() }
            #expect(try text.bytes() == [0xc3, 0x28])
        }
    }

    @Test func anyBytesAreReadOrRefused() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...24, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            _ = read(bytes)
        }
    }
}
