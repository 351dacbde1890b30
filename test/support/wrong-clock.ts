/** Loaded before everything else (`--import`): the wall clock of this process is off by CLOCK_OFFSET_MS. */
const offsetMs = Number(process.env.CLOCK_OFFSET_MS ?? 0)
const RightDate = Date

class WrongDate extends RightDate {
  constructor(...given: [] | [number | string | Date]) {
    super(given.length === 0 ? RightDate.now() + offsetMs : given[0])
  }

  static override now(): number {
    return RightDate.now() + offsetMs
  }
}

globalThis.Date = WrongDate as DateConstructor
