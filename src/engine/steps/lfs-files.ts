import { LFS_ID, type LfsPointer, type Source, type TreeEntry } from '../git/git.js'
import { type ContextFiles, textOf } from './context-files.js'

/** A pointer has at least these many bytes (version, oid, size), and less than 1 KiB by its specification. */
const POINTER_BYTES = { min: 120, max: 1023 }
const POINTER = /^version https?:\/\/(?:git-lfs\.github\.com\/spec\/v1|hawser\.github\.com\/spec\/v1)\r?\n/
const OID = /^oid sha256:([0-9a-f]{64})\r?$/m
const SIZE = /^size (\d{1,15})\r?$/m

/** The files that stand for others which Git LFS keeps, whatever `.gitattributes` says: nobody wants to serve one. */
export async function pointersIn(
  source: Source,
  entries: Iterable<TreeEntry>,
  signal: AbortSignal,
): Promise<LfsPointer[]> {
  const { min, max } = POINTER_BYTES
  const small = [...entries].filter(({ kind, size }) => kind === 'file' && size >= min && size <= max)
  if (small.length === 0) return []
  using contents = source.contents(signal)
  const known = new Map<string, Omit<LfsPointer, 'path'> | null>()
  const found: LfsPointer[] = []
  for (const { id, path } of small) {
    let pointer = known.get(id)
    if (pointer === undefined) {
      pointer = pointerOf(await textOf(contents.read(id)))
      known.set(id, pointer)
    }
    if (pointer) found.push({ ...pointer, path })
  }
  return found
}

/** Null: it is none, as far as git-lfs would take it for one. */
export function pointerOf(text: string): Omit<LfsPointer, 'path'> | null {
  const [oid, size] = [OID.exec(text)?.[1], SIZE.exec(text)?.[1]]
  return POINTER.test(text) && oid && size ? { oid, size: Number(size) } : null
}

/** The same files with those that the pointers stand for in place of the pointers. */
export function withObjects(files: ContextFiles, pointers: readonly LfsPointer[]): ContextFiles {
  const all = new Map(files)
  for (const pointer of pointers) {
    const entry = all.get(pointer.path)
    if (entry) all.set(pointer.path, objectOf(entry, pointer))
  }
  return all
}

export function objectOf(entry: TreeEntry, { oid, size }: LfsPointer): TreeEntry {
  return { ...entry, size, id: `${LFS_ID}${oid}` }
}
