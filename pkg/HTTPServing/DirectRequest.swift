internal import CHTTPServer

/// A request where it lies in the server's memory, for the duration of the handler's call. Belongs to the loop's thread.
public struct DirectRequest: ~Copyable {
    let token: OpaquePointer
    /// From `X-Request-Id`, or drawn.
    public let requestID: String

    public var body: UnsafeRawBufferPointer { raw(chttp_request_body(token)) }

    /// The first header of this (lower-case) name.
    public func header(_ name: StaticString) -> UnsafeRawBufferPointer? { findHeader(token, name) }

    /// A copy that outlives the call.
    public func copy() -> HTTPRequest {
        let headers = (0..<chttp_request_header_count(token)).map { index in
            let header = chttp_request_header(token, index)
            return (name: string(header.name), value: string(header.value))
        }
        let query = chttp_request_query(token)
        return HTTPRequest(
            method: string(chttp_request_method(token)), path: string(chttp_request_path(token)),
            query: query.bytes == nil ? nil : string(query), headers: headers, body: [UInt8](body),
            requestID: requestID, peer: peerAddress(token))
    }
}

func raw(_ text: chttp_text) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: text.bytes, count: text.count) }

func string(_ text: chttp_text) -> String { String(decoding: raw(text), as: UTF8.self) }

func findHeader(_ token: OpaquePointer, _ name: StaticString) -> UnsafeRawBufferPointer? {
    let value = name.withUTF8Buffer { name in
        name.withMemoryRebound(to: CChar.self) { chttp_request_find_header(token, $0.baseAddress, $0.count) }
    }
    return value.bytes == nil ? nil : raw(value)
}

func peerAddress(_ token: OpaquePointer) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
        let count = chttp_request_peer(token, buffer.baseAddress, buffer.count)
        return String(decoding: UnsafeRawBufferPointer(start: buffer.baseAddress, count: count), as: UTF8.self)
    }
}
