(use-modules (system foreign) (rnrs bytevectors))

(display "started\n")
(force-output)

(define (integer-at pointer)
  (bytevector-s32-native-ref (pointer->bytevector pointer 4) 0))
(define compare
  (procedure->pointer int (lambda (a b) (- (integer-at a) (integer-at b))) '(* *)))
(define qsort
  (pointer->procedure void (dynamic-func "qsort" (dynamic-link)) (list '* size_t size_t '*)))
(define numbers (make-bytevector 12))
(for-each (lambda (i n) (bytevector-s32-native-set! numbers (* 4 i) n)) '(0 1 2) '(2 3 1))
(qsort (bytevector->pointer numbers) 3 4 compare)
(if (equal? (bytevector->sint-list numbers (native-endianness) 4) '(1 2 3))
    (display "called back\n"))
