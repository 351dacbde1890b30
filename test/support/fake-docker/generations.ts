/** Engines that the fake can speak as. */
export type Generation = '20.10' | '29'

/** What engines answer in words. */
interface Words {
  badInstruction(line: number, keyword: string): string
  missingDockerfile(name: string): string
  missingStage(name: string): string
  /** Around what BuildKit cannot begin with. */
  unsolvable(why: string): string
  /** BuildKit's, of a step that failed. */
  stepFailed(command: readonly string[], exitCode: number): string
  /** BuildKit's last line; null: there is none. */
  tagged(tag: string): string | null
  badName(name: string): string
  noBody: string
  /** Of a question about it; other calls say the second half. */
  missingImage(name: string, withTag: string): string
  /** Of a container that cannot be connected. */
  unconnected(why: string): string
  imageInUse(name: string, container: string, image: string): string
}

type Answer = 'event' | 'image' | 'imageConfig' | 'summary' | 'config' | 'settings' | 'networks' | 'usage'

/** How engines differ: what is not here they have in common. */
export interface Dialect {
  readonly version: string
  /** Minor numbers of the newest and the oldest API: 41 is 1.41. */
  readonly api: number
  readonly oldestApi: number
  readonly storageDriver: string
  /** Of the answer with a container's logs; empty: it names none. */
  readonly logType: string
  /** `stop` is told before the `die` that it causes; a real one that does so does it now and then. */
  readonly stopsFirst: boolean
  /** An image whose last name goes to another one stays, without a name. */
  readonly keepsUnnamed: boolean
  /** Names of fields that are left out, by what they are fields of. */
  readonly leftOut: Readonly<Record<Answer, readonly string[]>>
  /** What stands for the names of an image that has none. */
  readonly nameless: readonly string[]
  /** Of a request that lacks its body. */
  readonly noBodyStatus: number
  readonly words: Words
}

const NOTHING = {
  event: [],
  image: [],
  imageConfig: [],
  summary: [],
  config: [],
  settings: [],
  networks: [],
  usage: [],
}

/** Recorded from real ones: Debian's 20.10.24, and 29.7.2 with the containerd image store. */
export const DIALECTS: Readonly<Record<Generation, Dialect>> = {
  '20.10': {
    version: '20.10.24',
    api: 41,
    oldestApi: 12,
    storageDriver: 'overlay2',
    logType: '',
    stopsFirst: false,
    keepsUnnamed: true,
    leftOut: NOTHING,
    nameless: ['<none>:<none>'],
    noBodyStatus: 500,
    words: {
      badInstruction: (line, keyword) =>
        `dockerfile parse error line ${line}: unknown instruction: ${keyword}`,
      missingDockerfile: (name) =>
        `failed to read dockerfile: open /var/lib/docker/tmp/buildkit-mount/${name}: no such file or directory`,
      missingStage: (name) => `target stage ${name} could not be found`,
      unsolvable: (why) =>
        `failed to solve with frontend dockerfile.v0: failed to create LLB definition: ${why}`,
      stepFailed: (command, code) => `executor failed running [${command.join(' ')}]: exit code: ${code}`,
      tagged: (tag) => `Successfully tagged ${tag}\n`,
      badName: () => 'invalid reference format: repository name must be lowercase',
      noBody: 'EOF',
      missingImage: (name, tag) => `no such image: ${name}: No such image: ${tag}`,
      unconnected: (why) => why,
      imageInUse: (name, container, image) =>
        `conflict: unable to remove repository reference "${name}" (must force) - container ${container} is using its referenced image ${image}`,
    },
  },
  '29': {
    version: '29.7.2',
    api: 55,
    oldestApi: 40,
    storageDriver: 'overlayfs',
    logType: 'application/vnd.docker.multiplexed-stream',
    stopsFirst: true,
    keepsUnnamed: false,
    leftOut: {
      event: ['status', 'id', 'from'],
      image: ['Parent', 'Comment', 'DockerVersion', 'Author', 'VirtualSize'],
      // These only where they are empty, and here they always are.
      imageConfig: ['Hostname', 'User', 'Image', 'Volumes', 'WorkingDir', 'Entrypoint', 'OnBuild'],
      summary: ['VirtualSize'],
      config: ['OnBuild'],
      settings: ['Bridge', 'Gateway', 'IPAddress', 'MacAddress'],
      networks: ['Containers'],
      usage: ['BuilderSize'],
    },
    nameless: [],
    noBodyStatus: 400,
    words: {
      badInstruction: (line, keyword) =>
        `dockerfile parse error on line ${line}: unknown instruction: ${keyword} (did you mean FROM?)`,
      missingDockerfile: (name) => `failed to read dockerfile: open ${name}: no such file or directory`,
      missingStage: (name) => `target stage "${name}" could not be found`,
      unsolvable: (why) => why,
      stepFailed: (command, code) =>
        `process ${JSON.stringify(command.join(' '))} did not complete successfully: exit code: ${code}`,
      tagged: () => null,
      badName: (name) => `invalid reference format: repository name (library/${name}) must be lowercase`,
      noBody: 'invalid JSON: EOF',
      missingImage: (_name, tag) => `No such image: ${tag}`,
      unconnected: (why) => `failed to set up container networking: ${why}`,
      imageInUse: (name, container, image) =>
        `conflict: unable to delete ${name} (must be forced) - container ${container} is using its referenced image ${image}`,
    },
  },
}

/** The one that an engine of this version (`20.10.24+dfsg1`) is nearest to; after 20.10 came 23. */
export function generationOf(version: string): Generation {
  return Number.parseInt(version, 10) < 23 ? '20.10' : '29'
}

/** An answer without the fields of these names. */
export function without<T extends object>(names: readonly string[], answer: T): T {
  return Object.fromEntries(Object.entries(answer).filter(([name]) => !names.includes(name))) as T
}
