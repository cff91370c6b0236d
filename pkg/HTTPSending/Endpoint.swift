internal import CCurl

/// Why a text is no URL to send to.
public enum EndpointError: Error, Equatable, CustomStringConvertible {
    /// Not a URL, or one with characters that may not be in it.
    case malformed(String)
    /// Another scheme than http and https.
    case unsupportedScheme(String)

    public var description: String {
        switch self {
        case .malformed(let reason): "not a valid URL: \(reason)"
        case .unsupportedScheme(let scheme): "the URL's scheme is \(scheme), expected http or https"
        }
    }
}

/// Where requests go: a URL, checked once and kept in the form that libcurl takes. Immutable, so one object serves all threads.
public final class Endpoint: Sendable {
    /// The URL as it was given.
    public let url: String
    public let isSecure: Bool
    /// As it is in the URL: a name or an address, IPv6 in brackets.
    public let host: String
    public let port: UInt16
    private let parsed: ParsedURL

    public init(_ url: String) throws(EndpointError) {
        guard !url.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7f }) else {
            throw .malformed("blanks and control characters must be percent-encoded")
        }
        let isSecure = try Self.scheme(of: url) == "https"
        let parsed = try ParsedURL(url)
        host = parsed.part(CURLUPART_HOST)
        guard !host.isEmpty else { throw .malformed("it names no host") }
        guard let port = UInt16(parsed.part(CURLUPART_PORT)), port > 0 else { throw .malformed("the port is not one") }
        self.port = port
        self.url = url
        self.isSecure = isSecure
        self.parsed = parsed
    }

    /// What a transfer is given: parsed once, where a text would be parsed anew for each request. libcurl only reads it.
    var handle: OpaquePointer { parsed.handle }

    /// libcurl takes "http:/a" and "http:///a" for "http://a"; here the authority must be where it belongs.
    private static func scheme(of url: String) throws(EndpointError) -> String {
        guard let colon = url.utf8.firstIndex(of: UInt8(ascii: ":")) else { throw .malformed("it has no scheme") }
        let scheme = url[..<colon].lowercased()
        let rest = url[colon...].utf8
        guard scheme == "http" || scheme == "https" else { throw .unsupportedScheme(scheme) }
        guard rest.starts(with: "://".utf8), !rest.starts(with: ":///".utf8) else {
            throw .malformed("it names no host")
        }
        return scheme
    }

    /// libcurl's own parser, so that what is checked is what will be dialled. `@unchecked Sendable` because nothing changes it
    /// after its making.
    private struct ParsedURL: ~Copyable, @unchecked Sendable {
        let handle: OpaquePointer

        init(_ url: String) throws(EndpointError) {
            guard let handle = curl_url() else { throw .malformed("out of memory") }
            let code = curl_url_set(handle, CURLUPART_URL, url, 0)
            guard code == CURLUE_OK else {
                curl_url_cleanup(handle)
                throw .malformed(String(cString: curl_url_strerror(code)))
            }
            self.handle = handle
        }

        deinit { curl_url_cleanup(handle) }

        func part(_ part: CURLUPart) -> String {
            var text: UnsafeMutablePointer<CChar>?
            guard curl_url_get(handle, part, &text, UInt32(CURLU_DEFAULT_PORT)) == CURLUE_OK, let text else {
                return ""
            }
            defer { curl_free(text) }
            return String(cString: text)
        }
    }
}
