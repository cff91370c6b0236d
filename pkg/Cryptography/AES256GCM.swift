internal import COpenSSL

/// AES-256-GCM. A sealed text is nonce (12 bytes, random) ‖ ciphertext ‖ tag (16 bytes); which key sealed it is the
/// caller's to remember. With random nonces one key should seal fewer than 2³² texts. Usable from any thread.
public struct AES256GCM: Sendable {
    public static let keyLength = 32
    /// How much longer a sealed text is than its plaintext, in bytes.
    public static let overhead = nonceLength + tagLength

    private static let nonceLength = 12
    private static let tagLength = 16

    private let key: [UInt8]

    /// Takes 32 bytes.
    public init(key: [UInt8]) throws(CryptographyError) {
        guard key.count == Self.keyLength else { throw .wrongKeyLength(expected: Self.keyLength, actual: key.count) }
        self.key = key
    }

    /// Encrypts and authenticates `plaintext`, and authenticates `associatedData`, which is not stored in the result.
    public func seal(_ plaintext: [UInt8], associatedData: [UInt8]) throws(CryptographyError) -> [UInt8] {
        try seal(plaintext, associatedData: associatedData, nonce: randomBytes(Self.nonceLength))
    }

    /// With a nonce of the caller's: for the tests' vectors. A nonce used twice under one key breaks GCM.
    func seal(_ plaintext: [UInt8], associatedData: [UInt8], nonce: [UInt8]) throws(CryptographyError) -> [UInt8] {
        let cipher = try Cipher()
        try check(EVP_EncryptInit_ex2(cipher.context, EVP_aes_256_gcm(), key, nonce, nil), "EVP_EncryptInit_ex2")
        var length: Int32 = 0
        if !associatedData.isEmpty {
            try check(
                EVP_EncryptUpdate(cipher.context, nil, &length, associatedData, Int32(associatedData.count)),
                "EVP_EncryptUpdate")
        }
        var text = [UInt8](repeating: 0, count: plaintext.count)
        if !plaintext.isEmpty {
            try check(
                EVP_EncryptUpdate(cipher.context, &text, &length, plaintext, Int32(plaintext.count)),
                "EVP_EncryptUpdate")
        }
        var rest = [UInt8](repeating: 0, count: 16)
        try check(EVP_EncryptFinal_ex(cipher.context, &rest, &length), "EVP_EncryptFinal_ex")
        var tag = [UInt8](repeating: 0, count: Self.tagLength)
        try check(copenssl_get_gcm_tag(cipher.context, &tag, Int32(Self.tagLength)), "EVP_CTRL_AEAD_GET_TAG")
        return nonce + text + tag
    }

    /// The plaintext, or `notAuthentic`. Nothing is returned before the tag has been checked.
    public func open(_ sealed: [UInt8], associatedData: [UInt8]) throws(CryptographyError) -> [UInt8] {
        guard sealed.count >= Self.overhead else { throw .malformed }
        let nonce = Array(sealed[..<Self.nonceLength])
        let text = Array(sealed[Self.nonceLength..<(sealed.count - Self.tagLength)])
        let tag = Array(sealed.suffix(Self.tagLength))
        let cipher = try Cipher()
        try check(EVP_DecryptInit_ex2(cipher.context, EVP_aes_256_gcm(), key, nonce, nil), "EVP_DecryptInit_ex2")
        var length: Int32 = 0
        if !associatedData.isEmpty {
            try check(
                EVP_DecryptUpdate(cipher.context, nil, &length, associatedData, Int32(associatedData.count)),
                "EVP_DecryptUpdate")
        }
        var plaintext = [UInt8](repeating: 0, count: text.count)
        if !text.isEmpty {
            // Answers 1 for altered data too: only Final tells.
            try check(
                EVP_DecryptUpdate(cipher.context, &plaintext, &length, text, Int32(text.count)), "EVP_DecryptUpdate")
        }
        try check(copenssl_set_gcm_tag(cipher.context, tag, Int32(Self.tagLength)), "EVP_CTRL_AEAD_SET_TAG")
        var rest = [UInt8](repeating: 0, count: 16)
        guard EVP_DecryptFinal_ex(cipher.context, &rest, &length) == 1 else {
            ERR_clear_error()
            throw .notAuthentic
        }
        return plaintext
    }

    /// One operation's context.
    private struct Cipher: ~Copyable {
        let context: OpaquePointer

        init() throws(CryptographyError) {
            guard let context = EVP_CIPHER_CTX_new() else { throw .failed(operation: "EVP_CIPHER_CTX_new") }
            self.context = context
        }

        deinit { EVP_CIPHER_CTX_free(context) }
    }
}
