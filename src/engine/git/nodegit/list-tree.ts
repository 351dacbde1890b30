import { type Context, Fatal } from './command.js'
import { Objects } from './objects.js'
import type { Entry } from './tree-object.js'

const SLASH = Buffer.from('/')
const TAB = Buffer.from('\t')
const END = Buffer.from('\0')

/** `git ls-tree -z`, with `-r -t`, `--long`, and with paths, which are taken as they are. */
export async function listTree(context: Context): Promise<void> {
  const { options, operands } = context.invocation
  const objects = await Objects.open(context)
  const [treeish = '', ...paths] = operands
  const root = await objects.peel(await objects.resolve(treeish), 'tree')
  const isLong = options.includes('--long')
  const say = async (entry: Entry, path: Buffer) => {
    const size = isLong ? ` ${(await sizeOf(objects, entry)).padStart(7)}` : ''
    const line = Buffer.from(`${entry.mode} ${entry.type} ${entry.id}${size}`)
    await context.write(Buffer.concat([line, TAB, path, END]))
  }
  if (paths.length > 0) {
    for (const path of paths) await listPath(objects, root, { path, say })
  } else if (options.includes('-r')) {
    for await (const { entry, path } of walk(objects, root)) await say(entry, path)
  } else {
    for (const entry of await objects.tree(root)) await say(entry, entry.name)
  }
}

/** What is at a path; nothing where nothing is. */
async function listPath(
  objects: Objects,
  root: string,
  { path, say }: { path: string; say: (entry: Entry, path: Buffer) => Promise<void> },
): Promise<void> {
  let at: Entry | undefined
  for (const name of path.split('/')) {
    if (at && at.type !== 'tree') return
    at = (await objects.tree(at?.id ?? root)).find((entry) => entry.name.equals(Buffer.from(name)))
    if (!at) return
  }
  if (at) await say(at, Buffer.from(path))
}

/** All that is below a tree: folders before what is in them. */
export async function* walk(objects: Objects, root: string): AsyncGenerator<{ entry: Entry; path: Buffer }> {
  // No recursion: how deep it goes is somebody else's choice.
  const open = [{ entries: (await objects.tree(root)).values(), prefix: Buffer.alloc(0) }]
  for (let folder = open.at(-1); folder; folder = open.at(-1)) {
    const next = folder.entries.next()
    if (next.done) {
      open.pop()
      continue
    }
    const entry = next.value
    const path = Buffer.concat([folder.prefix, entry.name])
    yield { entry, path }
    if (entry.type === 'tree') {
      open.push({ entries: (await objects.tree(entry.id)).values(), prefix: Buffer.concat([path, SLASH]) })
    }
  }
}

async function sizeOf(objects: Objects, entry: Entry): Promise<string> {
  if (entry.type !== 'blob') return '-'
  const { type, bytes } = await objects.get(entry.id)
  if (type !== 'blob') throw new Fatal(`object ${entry.id} is a ${type}, not a blob`)
  return String(bytes.length)
}
