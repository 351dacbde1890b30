import { memo, useLayoutEffect, useRef, useState } from 'react'
import type { LogChunk } from '../longshore/deployment-log.js'
import { useDeploymentLog } from '../longshore/react.js'
import { Problem } from './answer.js'
import { parseColors } from './colors.js'
import { Status } from './status.js'

/** So near to its end somebody who scrolls wants to see what comes next. */
const END_PX = 40

/** A deployment's log, live. Its view stays at the end until somebody scrolls up. */
export function LogView({ deploymentId }: { deploymentId: string }) {
  const { chunks, end, isComplete, error } = useDeploymentLog(deploymentId)
  const [isAtEnd, setIsAtEnd] = useState(true)
  const view = useRef<HTMLDivElement>(null)
  useLayoutEffect(() => {
    if (isAtEnd) view.current?.scrollTo({ top: view.current.scrollHeight })
  }, [chunks, isAtEnd])
  return (
    <section className="log" aria-label="Log">
      {/* A build writes too fast to be read aloud; its status is announced. */}
      <div
        className="lines"
        role="log"
        aria-live="off"
        tabIndex={0}
        ref={view}
        onScroll={({ currentTarget: at }) =>
          setIsAtEnd(at.scrollHeight - at.scrollTop - at.clientHeight < END_PX)
        }
      >
        {chunks.map((chunk) => (
          <Chunk key={chunk.seq} chunk={chunk} />
        ))}
      </div>
      <div className="log-state" role="status">
        {error !== null && <Problem>{error}</Problem>}
        {end ? (
          <span>
            Ended: <Status status={end.status} />
            {end.omittedBytes > 0 && ` ${end.omittedBytes} bytes were left out.`}
            {end.clipped && ' The Docker engine left out some lines.'}
          </span>
        ) : (
          <span>{isComplete ? 'This log was deleted.' : 'Following…'}</span>
        )}
      </div>
      {!isAtEnd && (
        <button type="button" className="to-end" onClick={() => setIsAtEnd(true)}>
          To the end
        </button>
      )}
    </section>
  )
}

/** The browser lays out those in view only. */
const Chunk = memo(function Chunk({ chunk: { seq, stream, text } }: { chunk: LogChunk }) {
  return (
    <pre data-seq={seq} className={stream.toLowerCase()}>
      {parseColors(text).map(({ className, text: part }, index) =>
        className === '' ? (
          part
        ) : (
          <span key={index} className={className}>
            {part}
          </span>
        ),
      )}
    </pre>
  )
})
