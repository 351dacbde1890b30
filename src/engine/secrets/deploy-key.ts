import { generateKeyPairSync, randomBytes } from 'node:crypto'

/** An SSH key pair in the forms in which OpenSSH keeps them. */
export interface DeployKey {
  /** As in authorized_keys: one line. */
  readonly publicKey: string
  /** A file of OpenSSH's own format, without a passphrase. */
  readonly privateKey: string
}

const TYPE = 'ssh-ed25519'
/** Unencrypted keys are padded to the block size of the cipher `none`. */
const BLOCK_BYTES = 8

/** Makes an ed25519 pair. `comment`: what the forge and ssh show of it. */
export function createDeployKey(comment: string): DeployKey {
  const { d = '', x = '' } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
  const [seed, point] = [d, x].map((part) => Buffer.from(part, 'base64url')) as [Buffer, Buffer]
  const blob = Buffer.concat([field(TYPE), field(point)])
  return {
    publicKey: `${TYPE} ${blob.toString('base64')} ${comment}`,
    privateKey: openSshFile(blob, Buffer.concat([seed, point]), comment),
  }
}

/** PROTOCOL.key of OpenSSH: OpenSSH 9.2 of Debian 12 cannot read an ed25519 key as PKCS#8. */
function openSshFile(publicBlob: Buffer, secret: Buffer, comment: string): string {
  const check = randomBytes(4)
  const fields = Buffer.concat([check, check, publicBlob, field(secret), field(comment)])
  const missing = (BLOCK_BYTES - (fields.length % BLOCK_BYTES)) % BLOCK_BYTES
  const padding = Buffer.from(Array.from({ length: missing }, (_, index) => index + 1))
  const file = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    ...['none', 'none', ''].map(field), // cipher, key derivation and its options
    uint32(1), // keys in the file
    field(publicBlob),
    field(Buffer.concat([fields, padding])),
  ])
  const lines = file.toString('base64').match(/.{1,70}/g) ?? []
  const [begin, end] = ['BEGIN', 'END'].map((edge) => `-----${edge} OPENSSH PRIVATE KEY-----`)
  return [begin, ...lines, end, ''].join('\n')
}

function field(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content as string)
  return Buffer.concat([uint32(bytes.length), bytes])
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
