# frozen_string_literal: true

require "json"
require "securerandom"
require "time"
require_relative "live_monitoring/availability"
require_relative "live_monitoring/prose"
require_relative "live_monitoring/runs"
require_relative "live_monitoring/service"

# Reports what AI agents do, where they fail a customer, and what happens in the room, to AI Agent Live Monitoring.
#
#   MONITOR = LiveMonitoring.new("https://monitor.example.com", ENV.fetch("LIVE_MONITORING_KEY"))
#   MONITOR.report_failure(signal: "agent_error", agent_name: "Billing Bot", room_id: "r-7", error: {type: "Timeout"})
#
# Reporting never raises and never blocks: reports are queued and sent by a thread of their own, which a forked
# process (Puma, Sidekiq) starts for itself. Ruby 2.7 or newer, nothing but its standard library.
class LiveMonitoring
  include Runs
  include Availability

  Kind = Struct.new(:name, :path, :id_field, :ordered) # ordered: those of a room keep their order
  KINDS = [ # in the order in which a batch goes out: alarms first
    FAILURE_EVENT = Kind.new("failure_event", "/api/failure-events", "event_id", true),
    ROOM_ACTIVITY = Kind.new("room_activity", "/api/room-activity", "activity_id", true),
    AGENT_RUN = Kind.new("agent_run", "/api/agent-runs", "run_id", false),
    AGENT_QC = Kind.new("agent_qc", "/api/agent-qc", "run_id", false),
  ].freeze
  BATCH_ITEMS = 200
  BATCH_BYTES = 1024 * 1024
  SUSPECT_TRIES = 3 # answers of 500, or none in time, until the items are held to be the reason
  MOVED_TRIES = 3 # redirects in a row until they are held to stay
  LONGEST_PAUSE = 30.0
  PROBLEMS_KEPT = 1000

  # An item that will never arrive (`lost`), or trouble that may pass. `status` is of an answer to a whole request.
  Problem = Struct.new(:code, :message, :lost, :status, :kind, :item_id, :field, keyword_init: true)
  Record = Struct.new(:kind, :id, :room, :body)
  class Closing < StandardError; end
  private_constant :Record, :Closing

  # `on_error` is called with a Problem in the client's own thread: for each item that is lost, and once for trouble
  # that may pass. Seconds: `timeout` of one request, `exit_timeout` that the end of the process may wait.
  # Raises ArgumentError for an address or key that can never work.
  def initialize(url, key, on_error: nil, max_items: 10_000, max_bytes: 8 * 1024 * 1024, timeout: 10, exit_timeout: 2)
    @service = Service.new(url, key, timeout)
    @who = Service.new(url, key, [timeout, Availability::LONGEST].min)
    @on_error, @max_items, @max_bytes, @exit_timeout = on_error, max_items, max_bytes, exit_timeout
    @guard = Mutex.new
    begin_anew
    at_exit { end_with_the_process }
  end

  # Fields of POST /api/failure-events; `event_id` and `occurred_at` are made where they are left out.
  def report_failure(fields = {})
    report(FAILURE_EVENT, fields, "event_id", "occurred_at")
  end

  # Fields of POST /api/room-activity; `activity_id` and `at` are made where they are left out.
  def report_room_activity(fields = {})
    report(ROOM_ACTIVITY, fields, "activity_id", "at")
  end

  # Waits at most so many seconds until every report is answered for. What became of them since the last flush:
  # {delivered:, failed:, dropped:, waiting:}.
  def flush(seconds = 5)
    mine
    @lock.synchronize do
      @hurried = true
      @changed.broadcast
      wait_until(seconds) { idle? || Thread.current == @thread }
      since = %i[delivered failed dropped].to_h { |name| [name, @counts[name] - @flushed[name]] }
      @flushed = @counts.dup
      since.merge(waiting: @waiting.size + @in_flight.size)
    end
  end

  # Counts of this process: {reported:, delivered:, failed:, dropped:, requests:, waiting:}.
  def stats
    mine
    names = %i[reported delivered failed dropped requests]
    @lock.synchronize { names.to_h { |name| [name, @counts[name]] }.merge(waiting: @waiting.size + @in_flight.size) }
  end

  # Flushes and ends; what still waits is dropped, and counted. What became of the reports, as `flush` says it.
  def close(seconds = @exit_timeout)
    flushed = flush(seconds)
    @lock.synchronize do
      @closed = true
      drop(@waiting.slice!(0..), "closed", "The client was closed before anybody took it.")
      @changed.broadcast
    end
    @thread.join(0.2) if @thread && @thread != Thread.current
    tell
    flushed.merge(flush(0)) { |name, before, last| name == :waiting ? last : before + last }
  end

  def inspect
    "#<#{self.class}>" # and nothing of the key
  end

  private

  # --- Any thread ---

  # `made`: the id and the time, made where they are left out.
  def report(kind, fields, *made)
    mine
    record = encode(kind, fields, made)
    @lock.synchronize do
      @counts[:reported] += 1
      next drop([record], "closed", "The client is closed.") if @closed

      @waiting << record
      @bytes += record.body.bytesize
      drop_the_oldest
      start
    end
    nil
  rescue StandardError, SystemStackError => error # whatever the fields are, the bot goes on
    lose(kind, error)
    nil
  end

  def lose(kind, error)
    @lock.synchronize do
      @counts[:reported] += 1
      @counts[:failed] += 1
      @sent += 1
      note(code: "unsayable", message: "It cannot be said in JSON: #{error.class}", lost: true, kind: kind.name)
      start
    end
  rescue StandardError
    nil # not even a lock: within a signal handler
  end

  # A failure that is told more than ten minutes late wakes nobody any more: where there is no room, the oldest go.
  def drop_the_oldest
    while @waiting.size > @max_items || @bytes > @max_bytes
      oldest = @waiting.shift
      @bytes -= oldest.body.bytesize
      drop([oldest], "queue_full", "There was no room: the oldest reports were dropped.")
    end
  end

  def encode(kind, fields, made)
    item = Prose.fit(fields)
    made.each { |name| item[name] ||= name.end_with?("_id") ? SecureRandom.uuid : Time.now.utc.iso8601(6) }
    Record.new(kind, item[kind.id_field].to_s, kind.ordered ? item["room_id"].to_s : nil, JSON.generate(item))
  end

  # What was lost is told in one line where no on_error hears of it.
  def end_with_the_process
    close
    lost = @lock.synchronize { @counts[:closed] + @in_flight.size }
    return if lost.zero? || @on_error

    warn("live monitoring: #{lost} reports were lost, the process ended before anybody took them")
  end

  # After a fork the thread is the parent's, and so is all that waits: the child begins anew.
  def mine
    return if @pid == Process.pid

    @guard.synchronize { begin_anew unless @pid == Process.pid }
  end

  def begin_anew
    @lock, @changed = Mutex.new, ConditionVariable.new
    @waiting, @bytes, @in_flight, @untold = [], 0, [], []
    @counts, @flushed = Hash.new(0), Hash.new(0)
    @thread = @trouble = @telling = nil
    @service.forget
    @who.forget
    @asking, @answers = Mutex.new, {}
    @closed = @hurried = false
    @failures = @moved = 0
    @sent, @aside = 0, {} # items that left the queue, on the wire or lost; ids of those that went back into it
    @pid = Process.pid
  end

  # --- Under the lock ---

  def start
    @changed.broadcast
    @thread = Thread.new { send_all } unless @closed || @thread&.alive?
  rescue ThreadError
    nil # no more threads just now: the next report tries again
  end

  def wait_until(seconds)
    deadline = now + seconds
    until yield
      left = deadline - now
      break if left <= 0

      @changed.wait(@lock, left)
    end
  end

  def idle?
    @closed || !@thread&.alive? || (@waiting.empty? && @in_flight.empty? && @untold.empty? && !@telling)
  end

  def drop(records, code, message)
    @counts[:dropped] += records.size
    @counts[:closed] += records.size if code == "closed"
    count_sent(records)
    records.each { |record| note_lost(record, code, message) }
  end

  # Each item counts once, also one that comes round again.
  def count_sent(records)
    @sent += records.count { |record| !@aside.delete(record.id) }
  end

  def note_lost(record, code, message, status = nil, field = nil)
    note(code: code, message: message, lost: true, status: status, field: field,
         kind: record.kind.name, item_id: record.id)
  end

  # What on_error itself brings about is not told to it again.
  def note(**fields)
    @untold << Problem.new(**fields) if @on_error && @untold.size < PROBLEMS_KEPT && @telling != Thread.current
  end

  # --- The client's own thread ---

  def send_all
    while (batch = take)
      tell
      KINDS.each { |kind| deliver(kind, batch.select { |record| record.kind == kind }) }
    end
  rescue Closing
    @lock.synchronize { drop(@in_flight.slice!(0..), "closed", "The client was closed before anybody took it.") }
    tell
  end

  # The longest run that can go out as one request for each kind without a room's items overtaking each other.
  def take
    @lock.synchronize do
      @changed.wait(@lock) while !@closed && @in_flight.empty? && @waiting.empty? && @untold.empty?
      return if @closed

      size = 0
      while @in_flight.size < BATCH_ITEMS && (record = @waiting.first) && !overtakes?(record)
        size += record.body.bytesize + 1
        break if size > BATCH_BYTES && @in_flight.any?

        @bytes -= record.body.bytesize
        count_sent([record])
        @in_flight << @waiting.shift
      end
      @in_flight.dup
    end
  end

  def overtakes?(record)
    record.kind == FAILURE_EVENT && @in_flight.any? { |one| one.kind == ROOM_ACTIVITY && one.room == record.room }
  end

  # Until each of them is settled or set aside; halves where one of them may be to blame for all.
  def deliver(kind, records, patience = SUSPECT_TRIES)
    body = "[#{records.map(&:body).join(",")}]"
    (1..).each do |attempt|
      return if records.empty?

      verdict = post(kind, body, records.size)
      suspect = verdict.fate == :suspect && attempt >= patience
      if records.size > 1 && (suspect || verdict.fate == :split)
        records.each_slice((records.size / 2.0).ceil) { |half| deliver(kind, half, 1) }
        return
      end
      moved = verdict.fate == :moved && @moved < MOVED_TRIES
      return settle(records, verdict) unless moved || %i[again suspect].include?(verdict.fate)

      pause(verdict.asked)
      return set_aside(records) if suspect
    end
  end

  def post(kind, body, count)
    sent = @lock.synchronize do
      @counts[:requests] += 1
      @sent
    end
    verdict = @service.post(kind.path, body, count, sent)
    @moved = verdict.fate == :moved ? @moved + 1 : 0
    %i[again suspect moved].include?(verdict.fate) ? trouble(verdict) : well
    verdict
  end

  def settle(records, verdict)
    @lock.synchronize do
      records.each_with_index do |record, at|
        count(record, verdict.results ? verdict.results[at] : verdict.as_result, verdict.status)
      end
      forget(records)
    end
    tell
  end

  def count(record, result, status)
    return @counts[:delivered] += 1 if %w[created updated duplicate].include?(result["status"])

    @counts[:failed] += 1
    error = result["error"].is_a?(Hash) ? result["error"] : {}
    field = error["field"]&.to_s&.sub(/\Aitems\[\d+\]\.?/, "") # its place in our request says nothing to the caller
    note_lost(record, error["code"] || result["status"], error["message"], status, field)
  end

  # The service stumbles over this one: back to the end of the queue, so that it holds up no others.
  def set_aside(records)
    @lock.synchronize do
      records.each do |record|
        @bytes += record.body.bytesize
        @aside[record.id] = true
      end
      @waiting.concat(records)
      forget(records)
      drop_the_oldest
    end
  end

  def forget(records)
    @in_flight.reject! { |one| records.any? { |record| record.equal?(one) } }
    @changed.broadcast
  end

  def trouble(verdict)
    @failures += 1
    if @trouble != verdict.code
      @trouble = verdict.code
      @lock.synchronize { note(code: verdict.code, message: verdict.message, lost: false, status: verdict.status) }
    end
    verdict
  end

  def well
    @failures = 0
    @trouble = nil
  end

  # Full jitter under a doubling cap, on top of what the service asked for. A flush cuts it short unless it did.
  def pause(asked)
    cap = [0.5 * 2**[@failures - 1, 10].min, LONGEST_PAUSE].min
    deadline = now + asked.to_f + rand * cap
    @lock.synchronize { @hurried = false }
    until now >= deadline
      @lock.synchronize do
        wait_until(deadline - now) { @closed || @untold.any? || (@hurried && !asked) }
        raise Closing if @closed
        return if @hurried && !asked
      end
      tell
    end
  end

  def tell
    while (problem = next_untold)
      begin
        @on_error.call(problem)
      rescue StandardError
        nil # theirs, and it must not end our thread
      ensure
        @lock.synchronize do
          @telling = nil
          @changed.broadcast
        end
      end
    end
  end

  def next_untold
    @lock.synchronize do
      return if @telling || @untold.empty?

      @telling = Thread.current
      @untold.shift
    end
  end

  def now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
