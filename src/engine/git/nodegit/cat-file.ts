import { createInterface } from 'node:readline'
import { type Context, Fatal } from './command.js'
import { Objects } from './objects.js'

/** `git cat-file --batch`, `git cat-file -e` and `git cat-file blob`. */
export async function catFile(context: Context): Promise<void> {
  const objects = await Objects.open(context)
  const { options, operands } = context.invocation
  if (options.includes('--batch')) return batch(context, objects)
  if (options.includes('-e')) return void (await objects.resolve(operands[0] ?? ''))
  const [wanted, spec = ''] = operands
  const { type, bytes } = await objects.get(await objects.resolve(spec))
  if (type !== wanted) throw new Fatal(`git cat-file ${spec}: bad file`)
  await context.write(bytes)
}

async function batch({ write }: Context, objects: Objects): Promise<void> {
  for await (const id of createInterface({ input: process.stdin })) {
    const found = await objects.find(id)
    if (!found) await write(`${id} missing\n`)
    else {
      await write(`${id} ${found.type} ${found.bytes.length}\n`)
      await write(found.bytes)
      await write('\n')
    }
  }
}
