internal import CCurl

/// A transfer's header lines in the form that libcurl reads while the transfer runs: a linked list of C strings. Both live in two
/// blocks that are kept for the next request, so a list costs no allocation. Confined to its transfer's thread.
final class LineArena {
    private var text = UnsafeMutableRawBufferPointer.allocate(byteCount: 1_024, alignment: 1)
    private var nodes = UnsafeMutableBufferPointer<curl_slist>.allocate(capacity: 24)

    deinit {
        text.deallocate()
        nodes.deallocate()
    }

    /// The list of `lines`, followed by what keeps libcurl from adding headers of its own. Valid until the next call.
    func list(of lines: HeaderLines) -> UnsafeMutablePointer<curl_slist> {
        guard lines.count > 0 else { return Self.suppressed }
        reserve(textBytes: lines.bytes.count, nodeCount: lines.count)
        lines.bytes.withUnsafeBytes { text.copyMemory(from: $0) }
        let characters = text.baseAddress!.assumingMemoryBound(to: CChar.self)
        let first = nodes.baseAddress!
        for (index, start) in lines.starts.enumerated() {
            let next = index + 1 < lines.count ? first + index + 1 : Self.suppressed
            (first + index).initialize(to: curl_slist(data: characters + start, next: next))
        }
        return first
    }

    private func reserve(textBytes: Int, nodeCount: Int) {
        if textBytes > text.count {
            text.deallocate()
            text = .allocate(byteCount: textBytes * 2, alignment: 1)
        }
        if nodeCount > nodes.count {
            nodes.deallocate()
            nodes = .allocate(capacity: nodeCount * 2)
        }
    }

    /// A name without a value means "do not add it yourself"; a line of the caller's with the same name is sent all the same.
    /// `Expect` would cost large bodies a round trip, the others say what is not so.
    /// `nonisolated(unsafe)`: written once, libcurl only reads it.
    private nonisolated(unsafe) static let suppressed: UnsafeMutablePointer<curl_slist> = {
        var list: UnsafeMutablePointer<curl_slist>?
        for line in ["Expect:", "Accept:", "Content-Type:"] { list = curl_slist_append(list, line) }
        guard let list else { fatalError("curl_slist_append: out of memory") }
        return list
    }()
}
