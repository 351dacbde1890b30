const BLOCK = 512
/** Octal digits of a size in a header hold less. */
const MAX_SIZE = 8 ** 11
const MAX_NAME = 100

/** A regular file of a tar, or a link. */
export interface TarFile {
  readonly path: string | Buffer
  /** What a link points to; a file has none. */
  readonly target?: Buffer
  readonly size: number
  readonly isExecutable: boolean
  /** Seconds since 1970. */
  readonly modifiedAt: number
}

/** A whole file as it stands in a tar. Without a time, so that the same text is the same entry. */
export function tarEntry(path: string, text: string): Buffer {
  const content = Buffer.from(text)
  const file = { path, size: content.length, isExecutable: false, modifiedAt: 0 }
  return Buffer.concat([tarHeader(file), content, tarPadding(content.length)])
}

/** What stands before the content of a file: what a header has no room for is in one before it. */
export function tarHeader({ path, target, size, isExecutable, modifiedAt }: TarFile): Buffer {
  const name = Buffer.from(path)
  const records = [
    ...(name.length > MAX_NAME ? [record('path', name)] : []),
    ...(target && target.length > MAX_NAME ? [record('linkpath', target)] : []),
    ...(size >= MAX_SIZE ? [record('size', Buffer.from(String(size)))] : []),
  ]
  const mode = isExecutable ? '0000755' : '0000644'
  const own = header({ name, target, size: size % MAX_SIZE, mode, modifiedAt, type: target ? '2' : '0' })
  if (records.length === 0) return own
  const extension = Buffer.concat(records)
  const before = header({ name: Buffer.from('pax'), size: extension.length, mode, modifiedAt, type: 'x' })
  return Buffer.concat([before, extension, tarPadding(extension.length), own])
}

/** What stands after a content of `size` bytes. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK)
}

interface Header {
  readonly name: Buffer
  readonly target?: Buffer | undefined
  readonly size: number
  readonly mode: string
  readonly modifiedAt: number
  readonly type: '0' | '2' | 'x'
}

function header({ name, target, size, mode, modifiedAt, type }: Header): Buffer {
  const bytes = Buffer.alloc(BLOCK)
  name.copy(bytes, 0, 0, MAX_NAME)
  bytes.write(`${mode}\0`, 100)
  bytes.write('0000000\0', 108)
  bytes.write('0000000\0', 116)
  bytes.write(`${size.toString(8).padStart(11, '0')}\0`, 124)
  bytes.write(`${modifiedAt.toString(8).padStart(11, '0')}\0`, 136)
  bytes.write(`        ${type}`, 148)
  target?.copy(bytes, 157, 0, MAX_NAME)
  bytes.write('ustar\x0000', 257)
  const sum = bytes.reduce((total, byte) => total + byte, 0)
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return bytes
}

/** `length key=value\n`, where the length counts its own digits. */
function record(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')])
  let length = rest.length
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length
  return Buffer.concat([Buffer.from(String(length)), rest])
}
