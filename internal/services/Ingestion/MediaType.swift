internal import HTTPServing

/// Throws 415 where the body does not say that it is JSON, or is compressed.
func checkMediaType(of request: borrowing DirectRequest) throws(HTTPProblem) {
    guard let type = request.header("content-type"), type.isText("application/json") || isJSON(type) else {
        throw HTTPProblem(
            status: 415, code: "unsupported_media_type", detail: "Send the event with Content-Type: application/json.",
            field: "Content-Type")
    }
    if let coding = request.header("content-encoding"), !coding.isText("identity") {
        throw HTTPProblem(
            status: 415, code: "unsupported_media_type", detail: "Send the event without Content-Encoding.",
            field: "Content-Encoding")
    }
}

/// `application/json`, or `application/` and something that ends in `+json`; parameters do not matter, JSON is UTF-8.
func isJSON(_ contentType: UnsafeRawBufferPointer) -> Bool {
    let name = String(decoding: contentType, as: UTF8.self).lowercased().prefix { $0 != ";" && $0 != " " && $0 != "\t" }
    return name == "application/json" || name.hasPrefix("application/") && name.hasSuffix("+json")
}
