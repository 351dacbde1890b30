const BLOCK = 512
const NAME_BYTES = 100
const TYPES = { file: '0', link: '2', folder: '5' } as const

export interface TarEntry {
  readonly type: keyof typeof TYPES
  /** With a slash at the end where it is a folder. */
  readonly path: Buffer
  readonly mode: number
  readonly size: number
  /** Seconds since 1970. */
  readonly modifiedAt: number
  /** Of a link. */
  readonly target?: Buffer
}

/** The header of an entry, after an extended one where its path or its target has more than 100 bytes. */
export function tarHeader(entry: TarEntry): Buffer {
  const { path, target = Buffer.alloc(0) } = entry
  const records = [
    ...(path.length > NAME_BYTES ? [record('path', path)] : []),
    ...(target.length > NAME_BYTES ? [record('linkpath', target)] : []),
  ]
  const header = block(entry, TYPES[entry.type])
  if (records.length === 0) return header
  const extension = Buffer.concat(records)
  const about = {
    ...entry,
    path: Buffer.from('pax_header'),
    target: undefined,
    mode: 0o644,
    size: extension.length,
  }
  return Buffer.concat([block(about, 'x'), extension, padding(extension.length), header])
}

/** What follows `size` bytes of content up to the next block. */
export function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK)
}

/** The end of an archive. */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * BLOCK)
}

function block({ path, mode, size, modifiedAt, target }: TarEntry, type: string): Buffer {
  const header = Buffer.alloc(BLOCK)
  path.copy(header, 0, 0, NAME_BYTES)
  header.write(octal(mode, 8), 100)
  header.write(octal(0, 8), 108)
  header.write(octal(0, 8), 116)
  header.write(octal(size, 12), 124)
  header.write(octal(modifiedAt, 12), 136)
  header.write(' '.repeat(8), 148)
  header.write(type, 156)
  target?.copy(header, 157, 0, NAME_BYTES)
  header.write('ustar\x0000', 257)
  header.write('root', 265)
  header.write('root', 297)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return header
}

/** A number in `bytes` bytes, of which the last is a NUL. */
function octal(value: number, bytes: number): string {
  return `${value.toString(8).padStart(bytes - 1, '0')}\0`
}

/** `length key=value\n`, where the length counts itself. */
function record(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')])
  let length = rest.length
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length
  return Buffer.concat([Buffer.from(String(length)), rest])
}
