internal import HTTPServing
internal import JSONScanning
internal import ServiceSupport

extension HTTPRequest {
    /// The largest body that the API's own requests have.
    private static let maximumBytes = 256 << 10

    /// The body as JSON: 415 for another content type, 413 where it is too large, 400 where it is no JSON.
    func jsonBody() throws(HTTPProblem) -> JSONValue {
        guard isJSON else {
            throw HTTPProblem(
                status: 415, code: "unsupported_media_type", detail: "Send the body as application/json.",
                field: "Content-Type")
        }
        guard body.count <= Self.maximumBytes else {
            throw HTTPProblem(
                status: 413, code: "too_large",
                detail: "The body has \(body.count) bytes; \(Self.maximumBytes) are taken.")
        }
        let result: Result<JSONValue, HTTPProblem> = body.withUnsafeBytes { bytes in
            do throws(JSONError) {
                return .success(try JSONValue(parsing: bytes))
            } catch {
                return .failure(HTTPProblem(error, in: bytes))
            }
        }
        return try result.get()
    }

    private var isJSON: Bool {
        let type = (header("content-type") ?? "").prefix { $0 != ";" && $0 != " " }.lowercased()
        return type == "application/json" || (type.hasPrefix("application/") && type.hasSuffix("+json"))
    }

    /// The query's parameters by name: 422 for one that is not among `names`, or comes twice.
    func parameters(_ names: String...) throws(HTTPProblem) -> [String: String] {
        var found: [String: String] = [:]
        for (name, value) in queryItems {
            guard names.contains(name) else {
                throw HTTPProblem(
                    status: 422, code: "unknown_parameter",
                    detail: names.isEmpty
                        ? "No query parameters are taken here." : "Known parameters: \(names.joined(separator: ", ")).",
                    field: name)
            }
            guard found.updateValue(value, forKey: name) == nil else {
                throw HTTPProblem(
                    status: 422, code: "field_invalid", detail: "The parameter \(name) is given more than once.",
                    field: name)
            }
        }
        return found
    }

    /// The version that `If-Match` demands; nil where any will do. 412 for an entity tag that no version has, 400 for what is none.
    func expectedVersion() throws(HTTPProblem) -> UInt64? {
        let values = headers.filter { $0.name == "if-match" }.map(\.value)
        guard let text = values.first?.trimmingBlanks, text != "*" || values.count > 1 else { return nil }
        let isTag = text.hasPrefix("\"") && text.hasSuffix("\"") && text.utf8.count >= 2
        let isWeak = text.hasPrefix("W/\"") && text.hasSuffix("\"") && text.utf8.count >= 4
        guard values.count == 1, isTag || isWeak, text.utf8.filter({ $0 == UInt8(ascii: "\"") }).count == 2 else {
            throw HTTPProblem(
                status: 400, code: "header_invalid",
                detail: "Expected If-Match to be one entity tag as ETag gave it, such as \"3\", or *.",
                field: "If-Match")
        }
        guard isTag, let version = UInt64(text.dropFirst().dropLast()), version > 0, entityTag(version) == text else {
            throw HTTPProblem(
                status: 412, code: "version_mismatch",
                detail: "If-Match names no version of this webhook: get it again and use its ETag.", field: "If-Match")
        }
        return version
    }
}

/// A version as `ETag` names it.
func entityTag(_ version: UInt64) -> String { "\"\(version)\"" }

extension String {
    fileprivate var trimmingBlanks: String {
        let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        return String(String(drop(while: isBlank)).reversed().drop(while: isBlank).reversed())
    }
}
