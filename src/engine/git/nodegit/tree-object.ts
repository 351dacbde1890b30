import { Fatal } from './command.js'

export interface Entry {
  /** Six octal digits. */
  readonly mode: string
  readonly type: 'tree' | 'blob' | 'commit'
  readonly name: Buffer
  readonly id: string
}

const ID_BYTES = 20
const NUL = 0
const SPACE = 0x20

/** The entries of a tree: `mode name`, a NUL and an id, one after another. @throws Fatal with git's words where it is broken */
export function entriesIn(tree: Buffer): Entry[] {
  const entries: Entry[] = []
  for (let at = 0; at < tree.length;) {
    const space = tree.indexOf(SPACE, at)
    const end = tree.indexOf(NUL, at)
    if (end < 0 || end + 1 + ID_BYTES > tree.length) throw new Fatal('too-short tree object')
    const mode = space > at && space < end ? modeOf(tree.toString('latin1', at, space)) : null
    if (mode === null) throw new Fatal('malformed mode in tree entry')
    if (space + 1 === end) throw new Fatal('empty filename in tree entry')
    const next = end + 1 + ID_BYTES
    entries.push({ ...mode, name: tree.subarray(space + 1, end), id: tree.toString('hex', end + 1, next) })
    at = next
  }
  return entries
}

/** As git takes modes: of a file only whether its owner may run it counts. Null: it is none. */
function modeOf(octal: string): Pick<Entry, 'mode' | 'type'> | null {
  if (!/^[0-7]{1,7}$/.test(octal)) return null
  const bits = Number.parseInt(octal, 8)
  switch (bits & 0o170000) {
    case 0o100000:
      return { mode: bits & 0o100 ? '100755' : '100644', type: 'blob' }
    case 0o120000:
      return { mode: '120000', type: 'blob' }
    case 0o040000:
      return { mode: '040000', type: 'tree' }
    default:
      return { mode: '160000', type: 'commit' }
  }
}
