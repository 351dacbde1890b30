import { tarEntry } from '../../../src/engine/docker/tar-entry.js'

const BLOCK = 512

/** The regular files of a tar, by path without a leading `./`. */
export function readTar(archive: Buffer): Map<string, Buffer> {
  const files = new Map<string, Buffer>()
  let longPath: string | null = null
  for (let at = 0; at + BLOCK <= archive.length;) {
    const header = archive.subarray(at, at + BLOCK)
    const size = Number.parseInt(text(header, 124, 12).trim() || '0', 8)
    const content = archive.subarray(at + BLOCK, at + BLOCK + size)
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK
    const type = String.fromCharCode(header[156] ?? 0)
    if (type === 'x') longPath = /^\d+ path=(.*)$/m.exec(content.toString('utf8'))?.[1] ?? null
    else if (type === '0' || type === '\0') {
      const prefix = text(header, 345, 155)
      const path = longPath ?? (prefix ? `${prefix}/` : '') + text(header, 0, 100)
      if (path !== '') files.set(path.replace(/^\.\//, ''), content)
      longPath = null
    } else longPath = null
  }
  return files
}

/** A tar of these files. */
export function writeTar(files: Readonly<Record<string, string>>): Buffer {
  const blocks = Object.entries(files).map(([path, content]) => tarEntry(path, content))
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)])
}

function text(block: Buffer, offset: number, length: number): string {
  const bytes = block.subarray(offset, offset + length)
  const end = bytes.indexOf(0)
  return bytes.subarray(0, end < 0 ? length : end).toString('utf8')
}
