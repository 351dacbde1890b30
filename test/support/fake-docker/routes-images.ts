import { hasLabels } from './events.js'
import { type Engine, json, type Route, route } from './engine.js'
import type { Exchange, Reply } from './exchange.js'
import { type FakeImage, isRunning, Refused, withTag } from './model.js'
import { inspectImage, summarizeImage } from './render.js'

export const IMAGE_ROUTES: readonly Route[] = [
  route('GET', /^\/images\/json$/, list),
  route('POST', /^\/images\/prune$/, prune),
  route('GET', /^\/images\/(.+)\/json$/, (engine, _exchange, name) => {
    const image = engine.state.findImage(name)
    if (!image) throw new Refused(404, engine.dialect.words.missingImage(name, shown(name)))
    return json(inspectImage(image, engine.dialect))
  }),
  route('POST', /^\/images\/(.+)\/tag$/, tag),
  route('DELETE', /^\/images\/(.+)$/, remove),
]

function shown(name: string): string {
  return name.startsWith('sha256:') ? name : withTag(name)
}

function existing(engine: Engine, name: string): FakeImage {
  const image = engine.state.findImage(name)
  if (!image) throw new Refused(404, `No such image: ${shown(name)}`)
  return image
}

function list(engine: Engine, exchange: Exchange): Reply {
  const filters = exchange.filters()
  const dangling = filters.get('dangling')?.[0]
  const references = filters.get('reference')
  const found = [...engine.state.images.values()].filter((image) => {
    if (dangling !== undefined && ['true', '1'].includes(dangling) !== (image.tags.length === 0)) return false
    const named = references?.some((one) =>
      image.tags.some((name) => name === one || name.startsWith(`${one}:`)),
    )
    return named !== false && hasLabels(image.labels, filters.get('label') ?? [])
  })
  return json(found.reverse().map((image) => summarizeImage(image, engine.dialect)))
}

function tag(engine: Engine, exchange: Exchange, name: string): Reply {
  const image = existing(engine, name)
  const version = exchange.query.get('tag')
  const given = `${exchange.query.get('repo') ?? ''}${version ? `:${version}` : ''}`
  engine.events.image(image, 'tag', engine.state.tag(image, given))
  return { status: 201 }
}

/** Forgets a name; the image goes with its last one, unless a container needs it. */
function remove(engine: Engine, exchange: Exchange, name: string): Reply {
  const image = existing(engine, name)
  const force = exchange.flag('force')
  const users = engine.state.containersOf(image)
  const short = image.id.slice(7, 19)
  const byTag = image.tags.includes(withTag(name))
  if (!byTag) refuseById(image, users, force, short)
  else if (image.tags.length === 1 && users[0] && !force) {
    const user = users[0].id.slice(0, 12)
    throw new Refused(409, engine.dialect.words.imageInUse(name, user, short))
  }
  const gone = byTag ? [withTag(name)] : image.tags
  image.tags = image.tags.filter((one) => !gone.includes(one))
  for (const _ of gone) engine.events.image(image, 'untag', image.id)
  const untagged = gone.map((one) => ({ Untagged: one }))
  // By its name, a running container's image loses only that.
  if (image.tags.length > 0 || users.some(isRunning)) return json(untagged)
  engine.state.images.delete(image.id)
  engine.events.image(image, 'delete', image.id)
  return json([...untagged, { Deleted: image.id }])
}

function refuseById(
  image: FakeImage,
  users: ReturnType<Engine['state']['containersOf']>,
  force: boolean,
  short: string,
): void {
  const says = (how: string, why: string) =>
    new Refused(409, `conflict: unable to delete ${short} (${how} be forced) - ${why}`)
  const running = users.find(isRunning)
  const by = (id: string) => `container ${id.slice(0, 12)}`
  if (running) throw says('cannot', `image is being used by running ${by(running.id)}`)
  if (users[0] && !force) throw says('must', `image is being used by stopped ${by(users[0].id)}`)
  if (image.tags.length > 1 && !force) throw says('must', 'image is referenced in multiple repositories')
}

function prune(engine: Engine, exchange: Exchange): Reply {
  const filters = exchange.filters()
  const alsoTagged = ['false', '0'].includes(filters.get('dangling')?.[0] ?? 'true')
  const unused = [...engine.state.images.values()].filter(
    (image) =>
      (alsoTagged || image.tags.length === 0) &&
      engine.state.containersOf(image).length === 0 &&
      hasLabels(image.labels, filters.get('label') ?? []),
  )
  const deleted = unused.flatMap((image) => {
    engine.state.images.delete(image.id)
    engine.events.image(image, 'delete', image.id)
    return [...image.tags.map((name) => ({ Untagged: name })), { Deleted: image.id }]
  })
  return json({ ImagesDeleted: deleted.length > 0 ? deleted : null, SpaceReclaimed: 0 })
}
