public import HTTPServing
public import JSONScanning

extension HTTPProblem {
    /// The body is no JSON. Where a key stands in it twice, that is the field.
    public init(_ error: JSONError, in body: UnsafeRawBufferPointer) {
        self.init(error)
        guard error.reason == .duplicateKey, error.offset < body.count else { return }
        var end = error.offset
        while end < body.count, body[end] != UInt8(ascii: "\"") { end += body[end] == UInt8(ascii: "\\") ? 2 : 1 }
        guard end < body.count else { return }
        let name = jsonText(UnsafeRawBufferPointer(rebasing: body[error.offset..<end]))
        code = "duplicate_field"
        detail = "The field \(name) stands there twice: send it once."
        field = name
    }
}
