import { type Context, Fatal } from './command.js'
import { walk } from './list-tree.js'
import { Objects } from './objects.js'
import { padding, tarEnd, tarHeader } from './tar-header.js'
import type { Entry } from './tree-object.js'

/** Names that git checks out nowhere, with what other systems take for `.git`. */
const INVALID = /^(\.{0,2}|(\.git|git~1)[ .]*(:.*)?)$/i

/** `git archive --format=tar` of a tree, as if each path had the attributes -export-ignore and -export-subst. */
export async function writeArchive(context: Context): Promise<void> {
  const objects = await Objects.open(context)
  const root = await objects.peel(await objects.resolve(context.invocation.operands[0] ?? ''), 'tree')
  // As git dates what has no commit.
  const modifiedAt = Math.floor(Date.now() / 1000)
  for await (const { entry, path } of walk(objects, root)) {
    const name = entry.name.toString('latin1')
    if (INVALID.test(name) || name.includes('/')) throw new Fatal(`invalid path '${path.toString('utf8')}'`)
    await writeEntry(context, objects, { entry, path, modifiedAt })
  }
  await context.write(tarEnd())
}

async function writeEntry(
  { write }: Context,
  objects: Objects,
  { entry, path, modifiedAt }: { entry: Entry; path: Buffer; modifiedAt: number },
): Promise<void> {
  // Of another repository there is its folder.
  if (entry.type !== 'blob') {
    const folder = Buffer.concat([path, Buffer.from('/')])
    return write(tarHeader({ type: 'folder', path: folder, mode: 0o755, size: 0, modifiedAt }))
  }
  const { bytes } = await objects.get(entry.id)
  if (entry.mode === '120000') {
    return write(tarHeader({ type: 'link', path, mode: 0o777, size: 0, modifiedAt, target: bytes }))
  }
  const mode = entry.mode === '100755' ? 0o755 : 0o644
  await write(tarHeader({ type: 'file', path, mode, size: bytes.length, modifiedAt }))
  await write(bytes)
  await write(padding(bytes.length))
}
