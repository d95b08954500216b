(println "started")

(define (compare a b) (- (get-int a) (get-int b)))
(import "libc.so.6" "qsort" "void" "void*" "long" "long" "void*")
(set 'numbers (pack "ld ld ld" 2 3 1))
(qsort numbers 3 4 (callback 'compare "int" "void*" "void*"))
(if (= (unpack "ld ld ld" numbers) '(1 2 3)) (println "called back"))
(exit)
