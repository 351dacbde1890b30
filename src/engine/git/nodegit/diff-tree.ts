import type { Context } from './command.js'
import { walk } from './list-tree.js'
import { Objects } from './objects.js'
import type { Entry } from './tree-object.js'

const SLASH = Buffer.from('/')
const END = Buffer.from('\0')

/** `git diff-tree -r -z --name-only --no-renames` of two commits. */
export async function diffTrees(context: Context): Promise<void> {
  const objects = await Objects.open(context)
  const treeOf = async (spec = '') => objects.peel(await objects.resolve(spec), 'tree')
  const [before, after] = context.invocation.operands
  for await (const path of differing(objects, await treeOf(before), await treeOf(after))) {
    await context.write(Buffer.concat([path, END]))
  }
}

/** Paths of files that one of two trees has and the other has not, or has with other contents or another mode. */
async function* differing(objects: Objects, before: string, after: string): AsyncGenerator<Buffer> {
  // No recursion: how deep it goes is somebody else's choice.
  const open = [{ before, after, prefix: Buffer.alloc(0) }]
  for (let pair = open.pop(); pair; pair = open.pop()) {
    const { prefix } = pair
    for (const [was, is] of await changedEntries(objects, pair)) {
      const path = Buffer.concat([prefix, (was ?? is)?.name ?? Buffer.alloc(0)])
      if (was?.type === 'tree' && is?.type === 'tree') {
        open.push({ before: was.id, after: is.id, prefix: Buffer.concat([path, SLASH]) })
        continue
      }
      if ([was, is].some((entry) => entry && entry.type !== 'tree')) yield path
      for (const entry of [was, is]) if (entry?.type === 'tree') yield* filesBelow(objects, entry, path)
    }
  }
}

type Change = readonly [was: Entry | undefined, is: Entry | undefined]

async function changedEntries(
  objects: Objects,
  { before, after }: { readonly before: string; readonly after: string },
): Promise<Change[]> {
  const [was, is] = [byName(await objects.tree(before)), byName(await objects.tree(after))]
  const changes: Change[] = []
  for (const name of new Set([...was.keys(), ...is.keys()])) {
    const [one, other] = [was.get(name), is.get(name)]
    if (one?.id !== other?.id || one?.mode !== other?.mode) changes.push([one, other])
  }
  return changes
}

/** latin1: one character for each byte, whatever they mean. */
function byName(entries: readonly Entry[]): ReadonlyMap<string, Entry> {
  return new Map(entries.map((entry) => [entry.name.toString('latin1'), entry]))
}

async function* filesBelow(objects: Objects, { id }: Entry, folder: Buffer): AsyncGenerator<Buffer> {
  for await (const { entry, path } of walk(objects, id)) {
    if (entry.type !== 'tree') yield Buffer.concat([folder, SLASH, path])
  }
}
