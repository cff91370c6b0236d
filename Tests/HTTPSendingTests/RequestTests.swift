import Testing

@testable import HTTPSending

@Suite struct EndpointTests {
    @Test func partsAreRead() throws {
        let endpoint = try Endpoint("https://example.com/hook?a=1")
        #expect(endpoint.isSecure)
        #expect(endpoint.host == "example.com")
        #expect(endpoint.port == 443)
        let local = try Endpoint("http://[::1]:8080")
        #expect(!local.isSecure)
        #expect(local.host == "[::1]")
        #expect(local.port == 8080)
    }

    @Test(arguments: [
        "", "example.com", "http://", "http:///x", "http:/a/", "http:a", "http://a b/", "http://a/\r\nX: y",
        "http://a/\u{0}", "http://a:0/",
        "http://a:65536/", "http://a:x/", "http://[::1/",
    ])
    func whatIsNoURLIsRefused(url: String) {
        #expect(throws: EndpointError.self) { try Endpoint(url) }
    }

    @Test(arguments: ["ftp", "file", "gopher", "scp"]) func onlyHTTPIsSpoken(scheme: String) {
        #expect(throws: EndpointError.unsupportedScheme(scheme)) { try Endpoint("\(scheme)://example.com/x") }
    }
}

@Suite struct HeaderLinesTests {
    private func lines(_ headers: HeaderLines) -> [String] {
        headers.starts.map { start in String(decoding: headers.bytes[start...].prefix { $0 != 0 }, as: UTF8.self) }
    }

    @Test func linesAreBuiltInOrder() {
        var headers = HeaderLines()
        let appended = [
            headers.append("webhook-id", "msg_1"), headers.append("x-empty", ""),
            headers.append("x-number") { $0.append(UInt8(ascii: "7")) },
        ]
        #expect(appended == [true, true, true])
        #expect(lines(headers) == ["webhook-id: msg_1", "x-empty;", "x-number: 7"])
        var more = HeaderLines()
        more.append("first", "0")
        more.append(contentsOf: headers)
        #expect(lines(more) == ["first: 0"] + lines(headers))
        headers.removeAll()
        #expect(headers.count == 0)
        headers.append("a", "b")
        #expect(lines(headers) == ["a: b"])
    }

    @Test func joinedLinesShareAnEntry() {
        var headers = HeaderLines()
        headers.append("user-agent", "mine")
        headers.joins = true
        headers.append("x-empty", "")
        headers.append("a", "b")
        headers.append("bad", "1\r\nX-Evil: 1")
        headers.append("c", "")
        headers.append("d", "e")
        #expect(lines(headers) == ["user-agent: mine", "x-empty;", "a: b\r\nc: \r\nd: e"])
        var other = HeaderLines()
        other.append("f", "g")
        headers.append(contentsOf: other)
        headers.append("h", "i")
        #expect(lines(headers).suffix(2) == ["f: g", "h: i"])
        headers.removeAll()
        headers.append("a", "b")
        headers.append("c", "d")
        #expect(lines(headers) == ["a: b", "c: d"])
    }

    @Test(arguments: ["a\rb", "a\nb", "a\r\nX-Evil: 1", "a\u{0}b", "\r\n"]) func aValueStaysInItsLine(value: String) {
        var headers = HeaderLines()
        headers.append("before", "1")
        let asText = headers.append("name", value)
        let asBytes = Array(value.utf8).withUnsafeBytes { headers.append("name", $0) }
        #expect(!asText)
        #expect(!asBytes)
        headers.append("after", "2")
        #expect(lines(headers) == ["before: 1", "after: 2"])
    }

    @Test(arguments: ["", "a b", "a:b", "a\r\n", "é", "a\u{0}", "(x)"]) func aNameIsAToken(name: String) {
        var headers = HeaderLines()
        let appended = headers.append(name, "value")
        #expect(!appended)
        #expect(headers.count == 0)
    }

    @Test func anErrorWhileWritingLeavesNoLine() {
        struct Refused: Error {}
        var headers = HeaderLines()
        #expect(throws: Refused.self) {
            try headers.append("name") { bytes throws(Refused) in
                bytes.append(65)
                throw Refused()
            }
        }
        #expect(headers.count == 0)
        #expect(headers.bytes.isEmpty)
    }
}
