! SPDX-License-Identifier: GPL-2.0
! Internal procedures as arguments: integrals by adaptive quadrature, of one and of two
! variables, in threads too, and an ordinary differential equation.
module numerics
  implicit none
  integer, parameter :: dp = kind(1d0)

  abstract interface
    function real_function(x) result(y)
      import :: dp
      real(dp), intent(in) :: x
      real(dp) :: y
    end function
    subroutine derivative(t, y, dy)
      import :: dp
      real(dp), intent(in) :: t, y(:)
      real(dp), intent(out) :: dy(:)
    end subroutine
  end interface

contains

  ! Simpson's rule, with halves where they differ from the whole
  recursive function integral(f, a, b, tolerance) result(s)
    procedure(real_function) :: f
    real(dp), intent(in) :: a, b, tolerance
    real(dp) :: s, m, whole, left, right
    m = (a + b) / 2
    whole = (b - a) / 6 * (f(a) + 4 * f(m) + f(b))
    left = (m - a) / 6 * (f(a) + 4 * f((a + m) / 2) + f(m))
    right = (b - m) / 6 * (f(m) + 4 * f((m + b) / 2) + f(b))
    if (abs(left + right - whole) <= 15 * tolerance) then
      s = left + right + (left + right - whole) / 15
    else
      s = integral(f, a, m, tolerance / 2) + integral(f, m, b, tolerance / 2)
    end if
  end function

  ! Runge and Kutta's method of fourth order
  subroutine solve(f, t, y, until, steps)
    procedure(derivative) :: f
    real(dp), intent(inout) :: t, y(:)
    real(dp), intent(in) :: until
    integer, intent(in) :: steps
    real(dp) :: h, k1(size(y)), k2(size(y)), k3(size(y)), k4(size(y))
    integer :: i
    h = (until - t) / steps
    do i = 1, steps
      call f(t, y, k1)
      call f(t + h / 2, y + h / 2 * k1, k2)
      call f(t + h / 2, y + h / 2 * k2, k3)
      call f(t + h, y + h * k3, k4)
      y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
      t = t + h
    end do
  end subroutine

  ! Of exp(-rate * x) from 0 to 1; the internal function has the rate of its host.
  function decay(rate) result(s)
    real(dp), intent(in) :: rate
    real(dp) :: s
    s = integral(f, 0d0, 1d0, 1d-10)
  contains
    function f(x) result(y)
      real(dp), intent(in) :: x
      real(dp) :: y
      y = exp(-rate * x)
    end function
  end function

  ! Of x * y**2 over [0, 1] * [0, 2]: a function that integrates another
  function plane() result(s)
    real(dp) :: s
    s = integral(line, 0d0, 1d0, 1d-8)
  contains
    function line(x) result(z)
      real(dp), intent(in) :: x
      real(dp) :: z
      z = of_line(x)
    end function
  end function

  function of_line(x) result(z)
    real(dp), intent(in) :: x
    real(dp) :: z
    z = integral(point, 0d0, 2d0, 1d-8)
  contains
    function point(y) result(v)
      real(dp), intent(in) :: y
      real(dp) :: v
      v = x * y**2
    end function
  end function

  ! y'' = -w**2 y, y(0) = 1, y'(0) = 0
  function oscillation(w, until) result(at)
    real(dp), intent(in) :: w, until
    real(dp) :: at, t, y(2)
    integer :: evaluations
    evaluations = 0
    t = 0
    y = [1d0, 0d0]
    call solve(f, t, y, until, 1000)
    if (evaluations /= 4000) error stop 'evaluations'
    at = y(1)
  contains
    subroutine f(t, y, dy)
      real(dp), intent(in) :: t, y(:)
      real(dp), intent(out) :: dy(:)
      evaluations = evaluations + 1
      dy = [y(2), -w**2 * y(1)]
      if (t < 0) dy = 0
    end subroutine
  end function

  ! The deepest calls the function of each depth.
  recursive function sum_of_depths(depth, above) result(s)
    integer, intent(in) :: depth
    procedure(real_function), optional :: above
    real(dp) :: s
    if (depth > 0) then
      s = sum_of_depths(depth - 1, add)
    else
      s = add(0d0)
    end if
  contains
    recursive function add(x) result(y)
      real(dp), intent(in) :: x
      real(dp) :: y
      y = x + depth
      if (present(above)) y = above(y)
    end function
  end function

end module

program quadrature
  use numerics
  implicit none
  integer :: i, bad
  bad = 0
  do i = 1, 200
    if (abs(decay(real(i, dp)) - (1 - exp(-real(i, dp))) / i) > 1d-8) bad = bad + 1
  end do
  if (bad /= 0) error stop 'integrals of one variable'
  if (abs(plane() - 4d0 / 3) > 1d-6) error stop 'integral of two variables'
  if (abs(oscillation(3d0, 2d0) - cos(6d0)) > 1d-8) error stop 'differential equation'
  if (abs(sum_of_depths(300) - 300 * 301 / 2) > 1d-9) error stop 'recursion'
  !$omp parallel do num_threads(4) reduction(+:bad)
  do i = 1, 400
    if (abs(decay(real(i, dp)) - (1 - exp(-real(i, dp))) / i) > 1d-8) bad = bad + 1
    if (abs(oscillation(real(mod(i, 7), dp), 1d0) - cos(real(mod(i, 7), dp))) > 1d-6) bad = bad + 1
    if (abs(sum_of_depths(50) - 1275) > 1d-9) bad = bad + 1
  end do
  if (bad /= 0) error stop 'threads'
  print '(a)', 'called back'
end program
