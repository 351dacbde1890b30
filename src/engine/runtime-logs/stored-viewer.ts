import type { DataSource } from 'typeorm'
import type { DeploymentPosition } from '../../entities/runtime-log-viewer.js'
import { createId } from '../names.js'
import type { Wakeups } from '../wakeups/wakeups.js'
import { deleteViewer, insertViewer, readOn, renewViewer, type ViewerPage } from './store.js'

/** A viewer that says nothing for 15 s is taken for gone. */
const RENEW_MS = 5_000

/** Where chunks come, and who says so. */
export interface RuntimeLogSource {
  readonly database: DataSource
  readonly wakeups: Wakeups
}

/** From where to where a viewer is shown a stage's output. */
export interface ViewerStart {
  readonly stageId: string
  /** So many of the last lines first … */
  readonly tail: number
  /** … or what comes after these places. */
  readonly places: readonly DeploymentPosition[] | null
  /** It ends here. Null: it follows the stage. */
  readonly until: DeploymentPosition | null
}

/** A viewer in the database, which a worker reads for. Must be closed. */
export class StoredViewer {
  /** What has been read, and had left this process by the time that more was asked for. */
  #lastSeq = 0
  #readSeq = 0
  readonly #stopListening: () => void
  readonly #renewing: NodeJS.Timeout

  private constructor(
    private readonly source: RuntimeLogSource,
    private readonly viewer: ViewerStart & { readonly id: string },
    onChange: () => void,
  ) {
    const { database, wakeups } = source
    const { id } = viewer
    this.#stopListening = wakeups.on('output', (of) => {
      if (of === '' || of === id) onChange()
    })
    this.#renewing = setInterval(() => void renewViewer(database, id).catch(() => undefined), RENEW_MS)
    this.#renewing.unref()
  }

  /** `onChange` is called when there may be something to read. */
  static async open(
    source: RuntimeLogSource,
    start: ViewerStart,
    onChange: () => void,
  ): Promise<StoredViewer> {
    const viewer = { id: createId(), ...start }
    await insertViewer(source.database, viewer)
    source.wakeups.viewersChanged()
    return new StoredViewer(source, viewer, onChange)
  }

  get id(): string {
    return this.viewer.id
  }

  /**
   * What comes after the last page, which is removed. A read that fails half-way loses nothing: what it found is there
   * until the next one says that it was read. Null: the database has lost the viewer.
   */
  async page(): Promise<ViewerPage | null> {
    const page = await readOn(this.source.database, this.id, this.#lastSeq)
    if (this.#lastSeq > this.#readSeq) this.source.wakeups.outputRead(this.id)
    this.#readSeq = this.#lastSeq
    this.#lastSeq = page?.entries.at(-1)?.seq ?? this.#lastSeq
    return page
  }

  close(): void {
    clearInterval(this.#renewing)
    this.#stopListening()
    // A row that stays behind expires.
    void deleteViewer(this.source.database, this.id)
      // One that ends makes room at its worker for another.
      .then(() => this.viewer.until && this.source.wakeups.viewersChanged())
      .catch(() => undefined)
  }
}
