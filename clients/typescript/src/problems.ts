/** What went wrong, told to `onError`, never to the caller of a report. */
import type { Kind } from "./items";

/**
 * One item that failed or was dropped (`lost`), or trouble that may pass (not `lost`).
 *
 * `code`: the service's, or `queue_full`, `closed`, `unsayable`, `unreachable`, `unavailable`, `not_the_contract`,
 * `redirected`, `token_unavailable`, `spool_unavailable`. `status`: of an answer that was to the whole request.
 */
export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly lost: boolean;
  readonly status?: number | undefined;
  readonly kind?: Kind["name"] | undefined;
  readonly itemId?: string | undefined;
  readonly field?: string | undefined;
}

/** Problems that wait to be told. They are told outside of the caller's call, one after the other. */
export class Problems {
  private static readonly KEPT = 1000; // that wait to be told; the counters have them all
  private readonly untold: Problem[] = [];
  private readonly lasting = new Map<string, string>();
  private telling = false;

  constructor(private readonly onError: ((problem: Problem) => unknown) | undefined) {}

  get waiting(): boolean {
    return this.untold.length > 0;
  }

  /** Keep a problem until it is told; what `onError` itself brings about is not told to it again. */
  note(problem: Problem): void {
    if (this.onError && !this.telling && this.untold.length < Problems.KEPT) this.untold.push(problem);
  }

  /** Note trouble that lasts: once, until it has ended or is another. */
  begin(where: string, problem: Problem): void {
    if (this.lasting.get(where) === problem.code) return;
    this.lasting.set(where, problem.code);
    this.note(problem);
  }

  /** There is no trouble any more. */
  end(where: string): void {
    this.lasting.delete(where);
  }

  /** Call `onError` for each; what it throws, or rejects with, is the user's and must not end the sending. */
  tell(): void {
    while (this.onError && !this.telling && this.untold.length > 0) {
      this.telling = true;
      try {
        const answer = this.onError(this.untold.shift() as Problem);
        if (answer instanceof Promise) answer.catch(() => undefined);
      } catch {
        // as above
      } finally {
        this.telling = false;
      }
    }
  }
}
