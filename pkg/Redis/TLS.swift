internal import CHiredis
internal import EventLoops

/// The TLS settings of a connection, loaded once. Confined to the connection's thread.
final class TLSSettings {
    fileprivate let pointer: OpaquePointer

    /// Throws with the file and the reason where one cannot be used.
    init(_ tls: RedisTLS) throws(RedisError) {
        var reason = [CChar](repeating: 0, count: 256)
        let made = chiredis_tls_settings_new(
            tls.authorityFile, tls.certificateFile, tls.keyFile, tls.verifies ? 1 : 0, &reason, reason.count)
        guard let made else { throw RedisError.disconnected(text(reason)) }
        pointer = made
    }

    deinit { chiredis_tls_settings_free(pointer) }
}

/// One connection's TLS. Owns the OpenSSL object; the descriptor stays the transport's. Confined to the loop's thread.
final class TLSState {
    enum Handshake {
        case done
        case wants(Readiness)
        case failed(String)
    }

    private let pointer: OpaquePointer

    init(_ settings: TLSSettings, descriptor: Int32, host: String) throws(RedisError) {
        var reason = [CChar](repeating: 0, count: 256)
        guard let made = chiredis_tls_new(settings.pointer, descriptor, host, &reason, reason.count) else {
            throw RedisError.disconnected(text(reason))
        }
        pointer = made
    }

    deinit { chiredis_tls_free(pointer) }

    func handshake() -> Handshake {
        switch chiredis_tls_handshake(pointer) {
        case CHIREDIS_TLS_DONE.code: .done
        case CHIREDIS_TLS_WANTS_READ.code: .wants(.readable)
        case CHIREDIS_TLS_WANTS_WRITE.code: .wants(.writable)
        default: .failed(error)
        }
    }

    func read(_ buffer: UnsafeMutableRawBufferPointer) -> Transfer {
        transfer(chiredis_tls_read(pointer, buffer.baseAddress, Int32(clamping: buffer.count)))
    }

    func write(_ bytes: UnsafeRawBufferPointer) -> Transfer {
        transfer(chiredis_tls_write(pointer, bytes.baseAddress, Int32(clamping: bytes.count)))
    }

    private func transfer(_ result: Int32) -> Transfer {
        switch result {
        case 1...: .bytes(Int(result))
        case CHIREDIS_TLS_WANTS_READ.code: .wants(.readable)
        case CHIREDIS_TLS_WANTS_WRITE.code: .wants(.writable)
        case CHIREDIS_TLS_ENDED.code: .ended
        default: .failed(error)
        }
    }

    private var error: String {
        var reason = [CChar](repeating: 0, count: 256)
        chiredis_tls_error(pointer, &reason, reason.count)
        return text(reason)
    }
}

extension chiredis_tls_result {
    fileprivate var code: Int32 { Int32(rawValue) }
}

private func text(_ characters: [CChar]) -> String {
    String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
