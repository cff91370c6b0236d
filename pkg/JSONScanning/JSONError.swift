/// Why bytes are no JSON, and where.
public struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Reason: String, Sendable {
        case empty = "there is nothing"
        case unexpectedEnd = "it ends in the middle of a value"
        case unexpectedByte = "this cannot stand here"
        case trailingBytes = "something follows the value"
        case invalidNumber = "this is no JSON number"
        case invalidEscape = "this is no JSON escape"
        case controlCharacter = "a control character in a string must be escaped"
        case invalidUTF8 = "this is not valid UTF-8"
        case loneSurrogate = "half of a surrogate pair stands alone"
        case duplicateKey = "this key stands in the object twice"
        case tooDeep = "arrays and objects are nested too deeply"
        case notAnObject = "an object is expected"
        case notAnArray = "an array is expected"
    }

    public let reason: Reason
    /// In bytes from the start.
    public let offset: Int

    public var description: String { "at byte \(offset): \(reason.rawValue)" }
}
